"""Frameworks in turns: processes that are stopped, threads that are bound, faults as values."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from math import inf
from pathlib import Path

import pytest

from chameleon_ray.measure import cpu_time
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.frameworks import Framework, FrameworkError, in_turns, timed
from chameleon_ray.measure.isolate import Setting
from chameleon_ray.measure.run_delay import Stopwatch
from chameleon_ray.options import Comparing

QUICK = Comparing(rounds=3, turn_seconds=0.01, patience=10.0)


@pytest.fixture
def start() -> Iterator:
    with ExitStack() as stack:

        def started(behaviour: str) -> Framework:
            core = available()[0]
            setting = Setting("tests.pure.framework_toys:hosted", (behaviour, core))
            framework = Framework(behaviour, setting, [core])
            stack.callback(framework.close)
            return framework

        yield started


def test_a_framework_says_its_version_and_runs_on_its_cores(start) -> None:
    one = start("steady")
    one.load(30)
    assert one.version == "1.2"
    one.latencies(0.01, 10)
    assert one.outputs[0].tolist() == [available()[0]]


def test_threads_that_go_on_are_stopped_between_turns(start) -> None:
    one = start("restless")
    one.load(30)
    spent = Path("/proc", str(one.outputs[0]), "schedstat")
    for _ in range(2):
        time.sleep(0.05)
        before = spent.read_text().split()[0]
        time.sleep(0.2)
        assert spent.read_text().split()[0] == before
        assert one.latencies(0.01, 10)


def test_one_that_dies_in_its_turn_is_left_out_and_the_others_go_on(start) -> None:
    pair = [start("fragile"), start("steady")]
    for one in pair:
        one.load(30)
    medians, faults = in_turns(pair, QUICK, inf)
    assert {name: len(some) for name, some in medians.items()} == {"steady": QUICK.rounds}
    assert all(second >= 0.002 for second in medians["steady"])
    assert faults == {"fragile": "killed by SIGABRT"}


def test_one_that_cannot_load_says_so_in_a_line(start) -> None:
    with pytest.raises(FrameworkError, match=r"^ValueError: there is no operator Frobnicate$"):
        start("unable").load(30)


def test_one_that_loads_for_too_long_is_given_up(start) -> None:
    with pytest.raises(FrameworkError, match=r"it did not answer within 0\.3 s"):
        start("slow").load(0.3)


def test_waiting_for_a_core_is_no_excuse_as_others_wait_for_the_comparison(
    start, monkeypatch
) -> None:
    waits = count(0.0, 100.0)
    monkeypatch.setattr(cpu_time, "of_another", lambda pid: next(waits))
    with pytest.raises(FrameworkError, match=r"it did not answer within 0\.3 s"):
        start("late").load(0.3)


class Steady:
    """A framework that takes as long as it says."""

    def __init__(self, name: str, seconds: float, heard: list[str]) -> None:
        self.name, self.seconds, self.heard = name, seconds, heard

    def latencies(self, seconds: float, patience: float) -> tuple[float, ...]:
        self.heard.append(self.name)
        return (self.seconds, self.seconds, 100.0)


def test_frameworks_take_turns_and_so_does_who_begins() -> None:
    heard: list[str] = []
    pair = [Steady("a", 1.0, heard), Steady("b", 2.0, heard)]
    assert in_turns(pair, QUICK, inf) == ({"a": [1.0] * 3, "b": [2.0] * 3}, {})  # type: ignore[arg-type]
    assert heard == ["a", "b", "b", "a", "a", "b"]


def test_a_slow_one_has_no_turn_beyond_its_share() -> None:
    pair = [Steady("slow", 3.0, []), Steady("fast", 1.0, [])]
    pair[0].latencies = lambda seconds, patience: (3.0,)  # type: ignore[method-assign]
    pair[1].latencies = lambda seconds, patience: (0.5,)  # type: ignore[method-assign]
    clock = iter([0.0] + [3.0] * 99).__next__
    found, faults = in_turns(pair, QUICK, 4.0, clock)  # type: ignore[arg-type]
    assert (found, faults) == ({"slow": [3.0], "fast": [0.5] * 3}, {})


@pytest.mark.parametrize("seconds", [0.0, -3.0])
def test_everyone_has_a_turn_where_there_is_no_time_at_all(seconds: float) -> None:
    pair = [Steady("a", 1.0, []), Steady("b", 2.0, [])]
    found = in_turns(pair, QUICK, seconds, iter(range(9)).__next__)  # type: ignore[arg-type]
    assert found == ({"a": [1.0], "b": [2.0]}, {})


class Passing(Steady):
    """A framework whose turns take time of a clock that it moves."""

    now = 0.0

    def latencies(self, seconds: float, patience: float) -> tuple[float, ...]:
        Passing.now += self.seconds
        return (self.seconds,)


@pytest.mark.parametrize(
    ("seconds", "slow", "fast"), [(20.0, 3, 5), (11.0, 3, 5), (8.5, 2, 5), (3.5, 1, 5)]
)
def test_a_slow_one_has_three_turns_where_they_end_in_time(
    seconds: float, slow: int, fast: int
) -> None:
    Passing.now, options = 0.0, replace(QUICK, rounds=5)
    pair = [Passing("slow", 3.5, []), Passing("fast", 0.1, [])]
    pair[1].seconds = 0.0
    medians, _ = in_turns(pair, options, seconds, lambda: Passing.now)  # type: ignore[arg-type]
    assert {name: len(some) for name, some in medians.items()} == {"slow": slow, "fast": fast}


def test_no_round_begins_when_the_time_is_up_but_the_first() -> None:
    heard: list[str] = []
    clock = iter([0.0, 0.0, 0.0, 5.0]).__next__
    assert in_turns([Steady("a", 1.0, heard)], QUICK, 1.0, clock)[0] == {"a": [1.0]}  # type: ignore[list-item]


def test_at_least_one_execution_is_timed_after_one_that_is_not() -> None:
    calls: list[int] = []
    assert len(timed(lambda: calls.append(1), 0.0005, Stopwatch(1))) >= 1
    assert len(calls) >= 2


def test_a_slow_model_is_run_once_a_turn() -> None:
    calls: list[int] = []

    def run() -> None:
        calls.append(1)
        time.sleep(0.02)

    assert len(timed(run, 0.01, Stopwatch(1))) == len(calls) == 1
