"""Racing: times a candidate only as often as it takes to rank it.

A candidate that is clearly slower than the best is given up after one timing. One that is close to
the best, above or below, is timed often, as there noise would decide. The idea is that of Hoeffding
races (Maron and Moore, NIPS 1993). With a handful of timings, two fixed margins take the place of
their bound.
"""

from collections.abc import Callable, Sequence
from statistics import median

from chameleon_ray.options import Measuring


def race(clock: Callable[[], float], best: float, options: Measuring) -> tuple[float, ...]:
    """Times a candidate as often as it deserves.

    Args:
        clock: Each call is a timing, in seconds of one execution.
        best: The task's best latency in seconds; infinite where there is none.
        options: The numbers of timings, and the margins.

    Returns:
        The timings, at least one.
    """
    latencies = [clock()]
    while len(latencies) < _deserved(median(latencies) / best, options):
        latencies.append(clock())
    return tuple(latencies)


def take_turns(
    clocks: Sequence[Callable[[], float]], first: Sequence[float], repeats: int, options: Measuring
) -> list[list[float]]:
    """Times candidates in turns, so that what disturbs one disturbs them all.

    Args:
        clocks: Each call is a timing, in seconds of one execution.
        first: Seconds of a first execution of each candidate.
        repeats: Timings of each candidate. A hopeless one has one, which is its first execution
            where that was long.
        options: The limits of what is hopeless and what is long.
    """
    hopeless = options.hopeless * min(first)
    long = max(hopeless, options.long_seconds)
    pairs = list(zip(clocks, first, strict=True))
    latencies = [[seconds if seconds > long else clock()] for clock, seconds in pairs]
    for _ in range(repeats - 1):
        for (clock, seconds), times in zip(pairs, latencies, strict=True):
            if seconds <= hopeless:
                times.append(clock())
    return latencies


def _deserved(ratio: float, options: Measuring) -> int:
    """Returns the timings that a candidate of ``ratio`` times the best latency deserves."""
    if ratio > options.slower:
        return 1
    close = abs(ratio - 1) <= options.close
    return options.close_repeats if close else options.repeats
