"""What the timing cores can do at most, measured in well under a second: the roofs of a roofline.

The arithmetic is that of float32 matrix products by NumPy's BLAS, the traffic that of copies too
large for any cache. Layers may exceed either a little: transforms only add, which many CPUs do
beside multiply-adds, and what a layer reads may be in a cache.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Setting

SIZES = (256, 384, 512)
"""Rows of the square matrices that are multiplied, for each core."""
COPIED = 1 << 26
"""Bytes that each core copies at once."""
SECONDS = 0.12
"""Seconds for which each of these is repeated; the fastest counts."""
TIMEOUT = 20.0


@dataclass(frozen=True)
class Ceiling:
    """What some cores can do together.

    Attributes:
        flops: Floating-point operations a second, of float32 matrix products.
        bytes: Bytes a second that are read or written in copies from memory to memory.
        cores: Number of cores.
    """

    flops: float
    bytes: float
    cores: int


def measured(cores: tuple[int, ...]) -> Ceiling | None:
    """Measures these cores in a process bound to them; None where that fails."""
    count = str(len(cores))
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = tuple((name, count) for name in names)
    try:
        child = Isolate(Setting(f"{__name__}:meter", cores=cores, environment=environment))
        try:
            outcome = child.call(None, TIMEOUT)
        finally:
            child.close()
    except IsolateError:
        return None
    return outcome.value if outcome.ending is Ending.OK else None


def meter(_: Any) -> Callable[[Any], Ceiling]:
    """Makes the handler in the child."""
    return lambda job: _measured(len(os.sched_getaffinity(0)))


def _measured(cores: int) -> Ceiling:
    rng, flops = np.random.default_rng(0), 0.0
    # one core's own time leaves out what other processes take of it
    clock = time.process_time if cores == 1 else time.perf_counter
    for size in SIZES:
        shape = (size * cores, size)
        left, right = rng.random(shape, np.float32), rng.random((size, size), np.float32)
        product = np.empty(shape, np.float32)
        seconds = fastest(lambda: np.matmul(left, right, out=product), clock)  # noqa: B023
        flops = max(flops, 2 * product.size * size / seconds)
    sources = [np.ones(COPIED, np.uint8) for _ in range(cores)]
    targets = [np.zeros(COPIED, np.uint8) for _ in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        seconds = fastest(lambda: list(pool.map(np.copyto, targets, sources)), clock)
    return Ceiling(flops, 2 * COPIED * cores / seconds, cores)


def fastest(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Returns the least seconds by a clock of some repeats, the first of which warms up."""
    work()
    least, ends = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < ends:
        began = clock()
        work()
        least = min(least, clock() - began)
    return least
