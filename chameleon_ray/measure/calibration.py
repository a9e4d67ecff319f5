"""Calibration: the factor between the latencies of two devices of one type.

Devices of one type differ by some percent, so that their latencies could not be compared. The first
device that succeeds with anything sets the references: what it timed first of several layers. Every
other device times these kernels, too.
"""

from collections.abc import Sequence
from math import isfinite, log
from statistics import median

from chameleon_ray.options import Calibrating


class References:
    """The kernels by which the devices of a run are compared, as they come."""

    def __init__(self, options: Calibrating) -> None:
        self._options, self._place = options, ""
        self._tasks: set[str] = set()

    @property
    def wanted(self) -> bool:
        """Whether devices are to be compared and there is nothing to compare them by yet."""
        return self._options.references > 0 and not self._tasks

    def take(self, task: str, place: str, latency: float) -> bool:
        """Makes a kernel a reference where one is missing; returns whether it did.

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
        """Removes a reference that cannot be had after all."""
        self._tasks.discard(task)


def factor_of(ratios: Sequence[float], notable: float) -> float:
    """Returns the factor by which a device's latencies are multiplied.

    Args:
        ratios: The first device's latency over this one's, per reference.
        notable: Share up to which a factor's difference from 1 is noise; the factor is then 1.
    """
    if not ratios:
        return 1.0
    factor = median(ratios) if len(ratios) > 2 else likeliest(ratios)
    return factor if beyond(factor, notable) else 1.0


def beyond(factor: float, share: float) -> bool:
    """Whether a factor is off by more than a share, to either side."""
    return not 1 / (1 + share) <= factor <= 1 + share


def likeliest(ratios: Sequence[float]) -> float:
    """Returns the ratio nearest to 1, as what disturbs a timing falsifies it."""
    return min(ratios, key=lambda ratio: abs(log(ratio)))
