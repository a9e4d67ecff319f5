"""Calibration: what one kernel took on two devices of a type in, the factor between them out.

Devices of one type differ by some percent, by which latencies of both could not be compared. So
what one device, the first that succeeds with anything, timed first of several layers is timed by
every other device, too: the references.
"""

from collections.abc import Sequence
from math import isfinite, log
from statistics import median

from chameleon_ray.options import Calibrating


class References:
    """Which kernels the devices of a run are compared by, as they come."""

    def __init__(self, options: Calibrating) -> None:
        self._options, self._place = options, ""
        self._tasks: set[str] = set()

    @property
    def wanted(self) -> bool:
        """Whether devices are to be compared and there is nothing to compare them by yet."""
        return self._options.references > 0 and not self._tasks

    def take(self, task: str, place: str, latency: float) -> bool:
        """Whether a kernel is a reference from now on.

        Args:
            task: The digest of its layer.
            place: The device that timed it; all references are the first one's.
            latency: Seconds; infinite where it failed. Only the first reference may be long.
        """
        known, options = self._tasks, self._options
        if task in known or len(known) >= options.references or not isfinite(latency):
            return False
        if known and (place != self._place or latency > options.most_seconds):
            return False
        known.add(task)
        self._place = place
        return True

    def drop(self, task: str) -> None:
        """A reference cannot be had after all."""
        self._tasks.discard(task)


def factor_of(ratios: Sequence[float], notable: float) -> float:
    """What a device's latencies are multiplied by.

    Args:
        ratios: Per reference, the first device's latency over this one's.
        notable: A factor that differs from 1 by no more than this share is noise, and 1.
    """
    if not ratios:
        return 1.0
    factor = median(ratios) if len(ratios) > 2 else likeliest(ratios)
    return factor if beyond(factor, notable) else 1.0


def beyond(factor: float, share: float) -> bool:
    """Whether a factor is off by more than a share, to either side."""
    return not 1 / (1 + share) <= factor <= 1 + share


def likeliest(ratios: Sequence[float]) -> float:
    """The ratio nearest to 1, as what disturbs a timing falsifies it."""
    return min(ratios, key=lambda ratio: abs(log(ratio)))
