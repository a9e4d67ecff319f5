"""Templates: schedules written for a class of layers, with their parameters left open.

A template takes a layer and a target. Where it fits the layer, it gives the trace of a schedule
that samples its tilings, or several. A trace becomes a sketch like one of MetaSchedule's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Term = tuple[int, Sequence[Any]]
"""A number, and sampled variables that it is multiplied by."""


@dataclass(frozen=True)
class Bound:
    """The least and the greatest that a sum of products of sampled variables may be.

    Attributes:
        name: Name of what is limited.
        terms: Terms of the sum.
        least: Least sum.
        most: Greatest sum.
    """

    name: str
    terms: Sequence[Term]
    least: int
    most: int


@dataclass(frozen=True)
class Fitted:
    """A template fitted to a layer.

    Attributes:
        trace: Trace of the schedule.
        block: Sampled variables whose product is the number of registers that sums are kept in;
            empty where these are limited otherwise. Where it is not, only tilings are sampled.
        registers: Fewest registers that are worth it, where there can be as many, and most.
        others: Traces of other schedules of the layer, which are sketches beside the first.
        bounds: Bounds of the sampled variables of each trace; where there are any, they stand for
            the limits that the kind of target reads off traces.
    """

    trace: Any
    block: Sequence[Any] = ()
    registers: tuple[int, int] = (0, 0)
    others: Sequence[Any] = ()
    bounds: Sequence[Sequence[Bound]] = ()


class Template(Protocol):
    """Fits a schedule to a layer."""

    def __call__(self, module: Any, target: Any) -> Fitted | None:
        """Fits the template to a module with one PrimFunc ``main``; None where it does not fit."""
