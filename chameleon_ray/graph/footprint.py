"""A model's memory in several orders of its operations, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

MODEL_ORDER, SCHEDULED, REWRITTEN = "model_order", "scheduled", "rewritten"
"""Names of the stages: as imported, in the order of least peak, and rewritten.

A rewritten model is in the order of least peak, too.
"""


@dataclass(frozen=True)
class Stage:
    """One version of a model.

    Attributes:
        order: The names of its operations, in order.
        levels: Bytes allocated while each operation runs.
        planned: Bytes that TVM's static memory planner allocates, outputs included.
        optimal: Whether no order of the same operations has a lower peak.
    """

    order: tuple[str, ...]
    levels: tuple[int, ...]
    planned: int
    optimal: bool

    @property
    def peak(self) -> int:
        """The most bytes allocated at any time."""
        return max(self.levels, default=0)


@dataclass(frozen=True)
class Footprint:
    """A model's activation memory; weights and inputs are not counted.

    Attributes:
        model: The model's name.
        stages: The stages by name, in order.
        chosen: Name of the stage that needs least by TVM's planner; the first of several.
        seconds: Time that lowering, the search for orders and planning took.
    """

    model: str
    stages: Mapping[str, Stage]
    chosen: str
    seconds: float
