"""Reports a run that only compiled: the share of configurations that compile, and the rate."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chameleon_ray.layer_names import title
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.report.format import clock, counted, digits, percent
from chameleon_ray.task import Task

LEARNT = 2
"""Number of the first plan that has learnt from more than random configurations."""


@dataclass(frozen=True)
class Building:
    """A run that compiled and timed nothing.

    Attributes:
        model: The model's name.
        target: TVM target, as JSON.
        explorer: Name of the explorer that proposed.
        builders: Number of builders that compiled at once.
        wall_seconds: Time of the whole command.
        tasks: The model's layers.
        records: Records of every configuration, in order; latencies mean nothing.
    """

    model: str
    target: str
    explorer: str
    builders: int
    wall_seconds: float
    tasks: tuple[Task, ...]
    records: tuple[Record, ...]

    @property
    def compiled(self) -> int:
        """Kernels that were compiled, default schedules included."""
        return sum(record.status is Status.OK for record in self.records)

    @property
    def rate(self) -> float:
        """Kernels compiled per second of one builder; the time of failed builds is included."""
        spent = sum(record.build_seconds for record in self.records)
        return self.compiled / max(spent, 1e-9)


def valid(records: Sequence[Record], first: int = 0, last: float = float("inf")) -> float | None:
    """Returns the share of some plans' proposals that compiled; None where nothing was proposed."""
    proposed = [r for r in records if r.config != DEFAULT and first <= r.plan <= last]
    return sum(r.status is Status.OK for r in proposed) / len(proposed) if proposed else None


def figures(building: Building) -> dict[str, Any]:
    """Returns all figures of the run, for JSON."""
    records = building.records
    return {
        "model": building.model,
        "target": json.loads(building.target),
        "explorer": building.explorer,
        "builders": building.builders,
        "wall_seconds": building.wall_seconds,
        "kernels_per_builder_second": building.rate,
        "status": Counter(str(record.status) for record in records),
        "valid": _shares(records),
        "layers": [
            {
                "name": task.name,
                "title": title(task),
                "digest": task.digest,
                "space_size": task.space.size,
                "status": Counter(str(record.status) for record in mine),
                "valid": _shares(mine),
                "errors": Counter(record.error for record in mine if record.error),
                "resources": [json.loads(r.resources) for r in mine if r.resources],
            }
            for task in building.tasks
            for mine in [[record for record in records if record.task == task.digest]]
        ],
    }


def shown(building: Building) -> list[RenderableType]:
    """Returns the figures of the run for people: a table and a sentence."""
    table = Table("layer", box=None)
    for head in ("tried", "compiled", "random", "first plan", "later", "default"):
        table.add_column(head, justify="right")
    for task in building.tasks:
        mine = [record for record in building.records if record.task == task.digest]
        table.add_row(title(task), *_cells(mine))
    table.add_row("all", *_cells(building.records), style="bold")
    compiled = building.compiled
    return [
        table,
        Text(
            f"{building.model}: {counted(compiled, 'kernel')} compiled in "
            f"{clock(building.wall_seconds)} by {counted(building.builders, 'builder')}, "
            f"{digits(building.rate)} per second and builder; nothing was timed."
        ),
    ]


def _shares(records: Sequence[Record]) -> dict[str, float | None]:
    return {
        "random": valid(records, 0, 0),
        "first": valid(records, 1, LEARNT - 1),
        "later": valid(records, LEARNT),
    }


def _cells(records: Sequence[Record]) -> list[str]:
    """Returns the counts and shares of some records as a table's cells."""
    proposed = [record for record in records if record.config != DEFAULT]
    defaults = [record for record in records if record.config == DEFAULT]
    compiled = sum(record.status is Status.OK for record in proposed)
    sound = all(record.status is Status.OK for record in defaults)
    shares = [percent(share) for share in _shares(records).values()]
    verdict = "-" if not defaults else "compiles" if sound else "fails"
    return [str(len(proposed)), str(compiled), *shares, verdict]
