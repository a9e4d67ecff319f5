"""The quick attempts on the whole command; ``scripts/hostile.py`` runs all of them."""

from pathlib import Path

import pytest

from tests.hostile.stage import CommandAttempt, table, tried

QUICK = [one for one in table() if one.quick]


@pytest.mark.parametrize("attempt", QUICK, ids=lambda one: f"{one.kind} {one.what}")
def test_a_command(attempt: CommandAttempt, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ended, wrong = tried(attempt, tmp_path, lambda: request.getfixturevalue("serial"))
    assert not wrong, ended


def test_no_attempt_is_listed_twice() -> None:
    words = [(one.kind, one.what) for one in table()]
    assert len(words) == len(set(words))
