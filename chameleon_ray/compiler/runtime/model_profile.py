"""Profiles compiled models: how long each of their functions takes inside the model."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean, median
from time import perf_counter
from typing import Any

TURN = 0.1
"""Seconds that a model runs in its turn, at least once, where there are several."""
Profiled = tuple[Any, Callable[[], object]]
"""A model's virtual machine, and what runs the model once on it."""


def profiled(models: Sequence[Profiled], seconds: float) -> list[dict[str, float]]:
    """Runs models on a CPU in turns, again and again, and observes every call that they make.

    Args:
        models: The models.
        seconds: Seconds for which each model is run, at least once, after a first run in each of
            its turns that warms caches.

    Returns:
        For each model, the seconds of one call of each function by its name in the library: the
        median over the runs of the mean over a run's calls.
    """
    means = [defaultdict[str, list[float]](list) for _ in models]
    turn = TURN if len(models) > 1 else seconds
    end = perf_counter() + seconds * len(models)
    while True:
        for (machine, run), known in zip(models, means, strict=True):
            with _observed(machine) as spent:
                run()
                turn_end = perf_counter() + turn
                while True:
                    spent.clear()
                    run()
                    for name, times in spent.items():
                        known[name].append(fmean(times))
                    if perf_counter() >= turn_end:
                        break
        if perf_counter() >= end:
            break
    return [{name: median(found) for name, found in known.items()} for known in means]


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
