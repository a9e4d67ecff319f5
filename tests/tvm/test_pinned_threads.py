"""TVM's threads have a core each, and the process's other threads all that they had."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tvm

from chameleon_ray.compiler.runtime.pinned_threads import BIND, pin
from chameleon_ray.measure.cores import available

TASKS = Path("/proc/self/task")


def bound(cores: tuple[int, ...]) -> tuple[set[int], list[set[int]]]:
    """Pins a pool of as many threads as there are cores; where the caller is, and where they."""
    before = set(os.listdir(TASKS))
    tvm.get_global_func("runtime.config_threadpool")(1, len(cores))  # makes the pool
    pin(cores)
    new = [int(thread) for thread in set(os.listdir(TASKS)) - before]
    return os.sched_getaffinity(0), [os.sched_getaffinity(thread) for thread in new]


def test_every_thread_has_a_core_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = available()
    if len(cores) < 2:
        pytest.skip("one core cannot be shared out")
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
