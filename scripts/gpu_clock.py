"""One clock for everything that ``gpu_check.py`` compares: the host's, read by the same code.

Whatever launches the work, a model compiled here or PyTorch, two things are timed. The time of one
call lasts until the GPU is done with it. The time of a call in a batch is that of many calls that
are launched one after the other, until the GPU is done with all, over their number. The first
contains the wait, and the second hides what the host can do while the GPU works.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

BATCH = 20
"""Calls of a batch."""
SHARE = 0.25
"""Share of the time that is spent on calls that do not count."""


@dataclass(frozen=True)
class Sample:
    """Milliseconds of single calls, and of calls in batches, in the order in which they ran."""

    single_ms: tuple[float, ...]
    batch_ms: tuple[float, ...]


def sample(call: Callable[[], Any], wait: Callable[[], Any], seconds: float) -> Sample:
    """Times calls for about so many seconds; every kind is timed once at least.

    Args:
        call: Launches the work on the GPU once.
        wait: Waits until the GPU has done all that was launched.
        seconds: Of which a quarter goes by before anything counts, so that the clocks are up.
    """
    began = time.perf_counter()
    first = _span(call, wait, 1)
    while time.perf_counter() - began < SHARE * seconds:
        first = _span(call, wait, 1)
    batch = max(1, min(BATCH, int(seconds / 4 / max(first, 1e-9))))
    single, batched = [_span(call, wait, 1)], [_span(call, wait, batch) / batch]
    while time.perf_counter() - began < seconds:
        single.append(_span(call, wait, 1))
        batched.append(_span(call, wait, batch) / batch)
    return Sample(tuple(1e3 * s for s in single), tuple(1e3 * s for s in batched))


def summary(samples: list[Sample]) -> dict[str, float]:
    """Medians over all samples of one contestant, and how far its samples' medians are apart."""
    single = [median(one.single_ms) for one in samples]
    batch = [median(one.batch_ms) for one in samples]
    return {
        "single_ms": median(single),
        "batch_ms": median(batch),
        "single_spread": (max(single) - min(single)) / median(single),
        "batch_spread": (max(batch) - min(batch)) / median(batch),
        "samples": len(samples),
    }


def _span(call: Callable[[], Any], wait: Callable[[], Any], calls: int) -> float:
    """Seconds of so many calls, until all are done."""
    began = time.perf_counter()
    for _ in range(calls):
        call()
    wait()
    return time.perf_counter() - began
