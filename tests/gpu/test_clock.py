"""The clock for kernels on GPUs: what is between its events, and what it does after a pause."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from chameleon_ray.compiler.runtime.cuda_clock import UNKNOWN_CACHE, buffer_size
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.options import Measuring
from tests.gpu.conftest import simulated

AWAKE = Measuring(wake_seconds=0.0)
SLEEPY = Measuring(idle_seconds=1.0, wake_seconds=0.01)


@dataclass(frozen=True)
class Job:
    """Pauses, then times something that takes so many seconds, as each copy does."""

    options: Measuring
    seconds: float = 0.0
    copying: float = 0.0
    shots: int = 3
    pause: float = 0.0


@dataclass(frozen=True)
class Timed:
    """Latencies, calls of CUDA by name, and the number of executions."""

    latencies: list[float]
    calls: dict[str, int]
    executed: int


class Counted:
    """A GPU's clock in a child, whose calls of CUDA are counted by name."""

    def __init__(self) -> None:
        from chameleon_ray.compiler.tvm_process import block_torch, load_cudart

        block_torch()
        load_cudart()
        import tvm

        from chameleon_ray.compiler.runtime.cuda_clock import CudaClock

        self.clock, self.calls, self.copying = CudaClock(tvm.cuda(0)), dict[str, int](), 0.0
        cudart = self.clock._cudart
        for name in ("copy", "record", "wait"):
            setattr(cudart, name, self.counting(name, getattr(cudart, name)))

    def counting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.calls[name] = self.calls.get(name, 0) + 1
            time.sleep(self.copying if name == "copy" else 0)  # simulated GPUs copy in no time
            return call(*arguments)

        return counted

    def __call__(self, job: Job) -> Timed:
        self.copying = job.copying
        executed: list[float] = []

        def execute() -> None:
            time.sleep(job.seconds)
            executed.append(job.seconds)

        time.sleep(job.pause)
        self.calls.clear()
        latencies = self.clock.time(execute, job.shots, job.options)
        return Timed(latencies, dict(self.calls), len(executed))


def counted(_: object) -> Counted:
    return Counted()


@pytest.fixture(scope="module")
def child() -> Iterator[Isolate]:
    """A child with a simulated GPU."""
    made = Isolate(Setting(f"{__name__}:counted", environment=tuple(simulated().items())))
    yield made
    made.close()


def timed(child: Isolate, job: Job) -> Timed:
    outcome = child.call(job, 60)
    assert outcome.ending is Ending.OK, outcome.error
    found: Timed = outcome.value
    return found


def test_a_latency_is_of_what_is_executed_without_the_copy_before_it(child: Isolate) -> None:
    assert 0 <= min(timed(child, Job(AWAKE, copying=0.2)).latencies) < 0.1
    assert 0.1 <= min(timed(child, Job(AWAKE, seconds=0.1, copying=0.2)).latencies) < 0.2


def test_all_executions_are_queued_before_the_only_wait(child: Isolate) -> None:
    done = timed(child, Job(AWAKE, shots=7))
    assert done.calls == {"copy": 7, "record": 14, "wait": 1}
    assert done.executed == len(done.latencies) == 7


def test_clocks_are_woken_after_a_pause_only(child: Isolate) -> None:
    assert timed(child, Job(SLEEPY, shots=2, pause=1.0)).calls["copy"] > 2
    assert timed(child, Job(SLEEPY, shots=2)).calls["copy"] == 2


@pytest.mark.parametrize(("cache", "size"), [(6 << 20, 64 << 20), (50 << 20, 100 << 20)])
def test_the_copy_empties_the_cache_and_takes_long_enough_to_queue_a_launch(
    cache: int, size: int
) -> None:
    assert buffer_size(SimpleNamespace(l2_cache_size_bytes=cache)) == size
    assert buffer_size(SimpleNamespace(l2_cache_size_bytes=None)) == 2 * UNKNOWN_CACHE


def test_a_warm_cache_is_what_an_execution_before_leaves(child: Isolate) -> None:
    warm = Measuring(warm_cache=True, wake_seconds=0.0)
    done = timed(child, Job(warm, seconds=0.1))
    assert (done.calls["copy"], done.executed) == (3, 6)
    assert 0.1 <= min(done.latencies) < 0.2
