"""Compares a library with a baseline in pairs of processes, until the verdict is clear."""

import time
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.example import Arrays
from chameleon_ray.measure.slowdown import LEAST, Slowdown, Times, pair_ratio
from chameleon_ray.options import Checking, Confirming

Library = tuple[Path, str]
"""A library's file, and the function of it that is the model."""
Duel = Callable[[Sequence[Library], Confirming], Sequence[Times]]
"""Times libraries in turns, in a fresh process that loads them in this order."""


def duel_of(process: ModelProcess, inputs: Arrays, bench: Bench | None = None) -> Duel:
    """Returns what times libraries of a model in turns, in children of a process or on a bench."""

    def duel(libraries: Sequence[Library], timing: Confirming) -> Sequence[Times]:
        files, entries = zip(*libraries, strict=True)
        return process.duel(files, inputs, timing, bench, entries)

    return duel


def in_pair(
    duel: Duel, libraries: tuple[Library, Library], timing: Confirming, expected: float = 1.0
) -> float:
    """Times two libraries in one process for each order of loading them; see ``pair_ratio``.

    Raises:
        UserError: A library cannot be run.
    """
    library, baseline = libraries
    ours, theirs = duel((library, baseline), timing)
    their_last, our_last = duel((baseline, library), timing)
    return pair_ratio((ours, theirs), (our_last, their_last), expected)


def in_pairs(
    duel: Duel,
    libraries: tuple[Library, Library],
    expected: float,
    limit: float,
    options: Checking,
    clock: Callable[[], float] = time.monotonic,
) -> Slowdown:
    """Times two libraries in pairs of processes, one for each order of loading them.

    Args:
        duel: Times both in one process.
        libraries: The library and its baseline.
        expected: Ratio of their latencies where nothing has changed.
        limit: Slowdown that is too much, on which depends when the verdict is clear.
        options: Settings of the comparison.
        clock: Tells the time in seconds.

    Raises:
        UserError: A library cannot be run.
    """
    timing = Confirming(model_repeats=options.turns, model_seconds=options.process_seconds)
    look, end = max(LEAST, ceil(options.pairs / options.looks)), clock() + options.seconds
    ratios, clear = list[float](), False
    while len(ratios) < LEAST or (len(ratios) < options.pairs and not clear and clock() < end):
        ratios.append(in_pair(duel, libraries, timing, expected))
        clear = len(ratios) % look == 0 and Slowdown.of(ratios).clear(limit)
    return Slowdown.of(ratios)
