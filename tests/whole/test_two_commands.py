"""Two commands on one cluster: they take turns at a core, and the second waits for the GPU."""

import json
from itertools import combinations

import pytest

from tests.ray.test_nodes import program
from tests.whole.two_commands import NAMES, ROUNDS


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ``two_commands.py`` saw."""
    done = program("tests/whole/two_commands.py", str(tmp_path_factory.mktemp("two")))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_never_do_both_work_on_the_timing_core(seen: dict) -> None:
    assert seen["statuses"] == [0, 0]
    spans = [(began, ended) for name in NAMES for _, began, ended in seen["core"][name]]
    assert len(spans) == 2 * 2 * ROUNDS
    assert [pair for pair in combinations(sorted(spans), 2) if pair[1][0] < pair[0][1]] == []
    (first, last), (other, latest) = ((s[0][1], s[-1][2]) for s in seen["core"].values())
    assert max(first, other) < min(last, latest), "they did not work at the same time"


def test_the_second_has_the_gpu_after_the_first_and_is_told(seen: dict) -> None:
    one, two = sorted(seen["gpu"].values(), key=lambda found: found["span"][1])
    assert two["span"][1] > one["span"][2]
    assert len(two["said"]) == 1
    assert "another command on the cluster may have them" in two["said"][0]
