"""Profiles a compiled model: how long each of its functions takes inside the model."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean, median
from time import perf_counter
from typing import Any


def profiled(machine: Any, run: Callable[[], object], seconds: float) -> dict[str, float]:
    """Runs a model on a CPU again and again, and observes every call that it makes.

    Args:
        machine: Virtual machine of the model.
        run: Runs the model once on this machine.
        seconds: Seconds for which the model is run, at least once, after a first run that warms
            caches.

    Returns:
        Seconds of one call of each function by its name in the library: the median over the runs of
        the mean over a run's calls.
    """
    means: dict[str, list[float]] = defaultdict(list)
    with _observed(machine) as spent:
        run()
        end = perf_counter() + seconds
        while True:
            spent.clear()
            run()
            for name, times in spent.items():
                means[name].append(fmean(times))
            if perf_counter() >= end:
                break
    return {name: median(found) for name, found in means.items()}


@contextmanager
def _observed(machine: Any) -> Iterator[dict[str, list[float]]]:
    """Yields the seconds of every call that a virtual machine makes in a block, by function."""
    spent: dict[str, list[float]] = defaultdict(list)
    began: dict[str, float] = {}

    def observe(function: Any, name: str, before: bool, result: Any, *arguments: Any) -> int:
        if before:
            began[name] = perf_counter()
        else:
            spent[name].append(perf_counter() - began[name])
        return 0

    machine.set_instrument(observe)
    yield spent
