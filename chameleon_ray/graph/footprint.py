"""What a model takes of memory in several orders, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

MODEL_ORDER, SCHEDULED, REWRITTEN = "model_order", "scheduled", "rewritten"
"""The stages: as imported; in the order of least peak; rewritten, and that in its best order."""


@dataclass(frozen=True)
class Stage:
    """One version of a model.

    Attributes:
        order: Its operations, by name.
        levels: Bytes allocated while each of them runs.
        planned: Bytes that TVM's static memory planner allocates, outputs included.
        optimal: Whether no order of the same operations has a lower peak.
    """

    order: tuple[str, ...]
    levels: tuple[int, ...]
    planned: int
    optimal: bool

    @property
    def peak(self) -> int:
        """Most bytes at any time."""
        return max(self.levels, default=0)


@dataclass(frozen=True)
class Footprint:
    """A model's activation memory; weights and inputs are not counted.

    Attributes:
        model: Its name.
        stages: By name, in order.
        chosen: The name of the stage that the planner needs least for; the first of several.
        seconds: That lowering, the search for orders and planning took.
    """

    model: str
    stages: Mapping[str, Stage]
    chosen: str
    seconds: float
