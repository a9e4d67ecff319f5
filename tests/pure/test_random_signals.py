"""Long series of runs: an interruption loses none that has ended."""

import json
import sys
from pathlib import Path

import pytest

from tests.whole.command import until

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from random_signals import kept


def test_what_ends_is_kept_while_what_began_earlier_is_under_way(tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"

    def make(number: int) -> dict[str, int] | None:
        if number == 0:
            assert until(lambda: log.exists() and log.read_text().endswith("\n"), 20)
            raise InterruptedError
        return {"number": number} if number == 1 else None

    with pytest.raises(InterruptedError):
        kept(2, make, [0, 1, 2], log)
    assert json.loads(log.read_text()) == {"number": 1}


def test_what_there_is_no_time_for_is_left_out(tmp_path: Path) -> None:
    assert kept(1, lambda one: one, [{"number": 0}, None], tmp_path / "log") == [{"number": 0}]
