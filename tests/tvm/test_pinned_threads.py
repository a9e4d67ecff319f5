"""TVM's threads have a core each where kernels are timed; other threads have all that they had."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tvm

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.compiler.runtime.pinned_threads import BIND, pin
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.isolate import Ending
from chameleon_ray.options import Measuring

TASKS = Path("/proc/self/task")


def bound(cores: tuple[int, ...]) -> tuple[set[int], list[set[int]]]:
    """Pins a pool of as many threads as there are cores; where the caller is, and where they."""
    before = set(os.listdir(TASKS))
    tvm.get_global_func("runtime.config_threadpool")(1, len(cores))  # makes the pool
    pin(cores)
    new = [int(thread) for thread in set(os.listdir(TASKS)) - before]
    return os.sched_getaffinity(0), [os.sched_getaffinity(thread) for thread in new]


class Look:
    """A job that says on which cores the threads of the child are, the one that times first."""

    def run(self, timer: object) -> list[set[int]]:
        found = [os.sched_getaffinity(int(thread)) for thread in os.listdir(TASKS)]
        return [os.sched_getaffinity(0), *found]


@pytest.fixture
def cores() -> tuple[int, ...]:
    found = available()
    if len(found) < 2:
        pytest.skip("one core cannot be shared out")
    return found[-2:]


@pytest.fixture
def runner(cores: tuple[int, ...]) -> Iterator[CpuRunner]:
    made = CpuRunner(LLVM, Measuring(), cores, "this machine")
    yield made
    made.close()


def test_kernels_are_timed_with_a_core_for_each_thread(
    runner: CpuRunner, cores: tuple[int, ...]
) -> None:
    outcome = runner.child.call(Look(), 60.0)
    assert outcome.ending is Ending.OK, outcome.error
    own, *every = outcome.value
    assert len(own) == 1
    assert set(cores) - own in every


def test_every_thread_has_a_core_of_its_own(
    monkeypatch: pytest.MonkeyPatch, cores: tuple[int, ...]
) -> None:
    monkeypatch.setenv("TVM_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv(BIND, "0")
    mine, every = (cores[-1], cores[-2]), os.sched_getaffinity(0)
    with ThreadPoolExecutor(1) as thread:
        own, others = thread.submit(bound, mine).result()
    assert own == {mine[0]}
    assert others == [{mine[1]}]
    assert os.environ[BIND] == "0"
    assert os.sched_getaffinity(0) == every
