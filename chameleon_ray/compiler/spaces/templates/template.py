"""Templates: schedules written for a class of layers, with what there is to decide left open.

A template takes a layer and a target. Where it is made for such a layer it gives the trace of a
schedule that samples its tilings, and that trace becomes a sketch like one of MetaSchedule's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Fitted:
    """A template on a layer.

    Attributes:
        trace: Of the schedule.
        block: Sampled variables whose product is the number of registers that sums are kept in;
            none where these are limited otherwise. Then all that is sampled are tilings.
        registers: Fewest that are worth it, where there can be as many, and most.
    """

    trace: Any
    block: Sequence[Any] = ()
    registers: tuple[int, int] = (0, 0)


class Template(Protocol):
    """What fits a schedule to a layer."""

    def __call__(self, module: Any, target: Any) -> Fitted | None:
        """The template on a module with one PrimFunc ``main``; None where it does not fit."""
