"""Run delay: a stopwatch beside a real load on the same core, and without one."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from chameleon_ray.measure.run_delay import (
    THREAD,
    Stopwatch,
    longest,
    of_process,
    of_thread,
    stolen,
)

pytestmark = pytest.mark.skipif(not THREAD.exists(), reason="the kernel counts no run delay")
CORE = min(os.sched_getaffinity(0))


@pytest.fixture
def one_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORE})
    yield
    os.sched_setaffinity(0, before)


def spin(seconds: float = 0.2) -> None:
    """Works for so many seconds of CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_what_others_take_is_no_part_of_a_time(one_core: None) -> None:
    busy = [sys.executable, "-c", "while 1: pass"]
    load = [subprocess.Popen(busy) for _ in range(2)]
    try:
        time.sleep(0.2)
        watch = Stopwatch(1)
        seconds = watch.time(spin)
        several = Stopwatch(2)
        whole = several.time(spin)
    finally:
        for process in load:
            process.kill()
            process.wait()
    assert watch.share > 0.3
    assert seconds == pytest.approx(0.2, rel=0.1)
    assert watch.seconds > 0.28
    assert several.share > 0.3
    assert 0.28 < whole <= several.seconds


def test_sleep_is_no_delay() -> None:
    watch = Stopwatch(1)
    watch.time(lambda: time.sleep(0.1))
    assert watch.waited < 0.05
    assert watch.seconds >= 0.1


def test_counters_grow() -> None:
    (own,), every = of_thread().values(), of_process()
    assert 0 <= own <= every[str(threading.get_native_id())] + 1e-3
    assert stolen({CORE})[f"cpu{CORE}"] >= 0
    assert Stopwatch(1).share == 0


def test_the_longest_wait_is_that_of_one_core() -> None:
    assert longest({"a": 1.0, "b": 2.0}, {"a": 4.0, "b": 4.0, "new": 2.5}) == 3.0
    assert longest({"a": 1.0}, {}) == 0.0


@pytest.mark.parametrize(
    ("timed", "passed", "waited", "left"),
    [
        (1.0, 1.0, 0.4, 0.6),
        (1.0, 3.0, 0.4, 1.0),  # it may all have been before
        (1.0, 1.2, 0.5, 0.7),
        (1.0, 1.0, 1.0, 1.0),  # nothing would be left
    ],
)
def test_only_waiting_that_was_timed_is_taken_off(
    timed: float, passed: float, waited: float, left: float
) -> None:
    assert Stopwatch(1).undisturbed(timed, passed, waited) == pytest.approx(left)
    assert Stopwatch(2).undisturbed(timed, passed, waited) == timed
