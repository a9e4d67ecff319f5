"""The layers of a run as people want them: most time first, each with its share."""

from dataclasses import dataclass, replace
from math import inf

from chameleon_ray.report.columns import Column
from chameleon_ray.report.format import UNKNOWN, digits, milliseconds, percent, times
from chameleon_ray.report.layer_history import ratio, shares
from chameleon_ray.report.progress import Progress
from chameleon_ray.runs.facts import Facts


@dataclass(frozen=True)
class ShownLayer:
    """One layer of a run.

    Attributes:
        name: What people call it.
        weight: How often the model has it.
        default: Seconds of its default schedule; infinite where unknown.
        best: Seconds of its best configuration, alone; infinite where unknown.
        tried: Number of configurations measured.
        share: Share of the time of all layers whose latency is known; None where it is not.
        reached: Whether anything was measured of it, or there is nothing to choose.
        searched: What chose the configurations, or the state of the search.
        inside: Seconds of it inside the model; infinite where unknown.
    """

    name: str
    weight: float
    default: float
    best: float
    tried: int
    share: float | None
    reached: bool
    searched: str
    inside: float = inf

    @property
    def seconds(self) -> float:
        """Seconds of the layer inside the model where that is known, else alone."""
        return self.inside if self.inside < inf else self.best


LAYERS: tuple[Column[ShownLayer], ...] = (
    Column("layer", "text", lambda row: row.name),
    Column("times", "number", lambda row: f"{row.weight:g}"),
    Column("ms", "number", lambda row: milliseconds(row.seconds)),
    Column("time", "number", lambda row: percent(row.share)),
    Column("faster", "number", lambda row: times(ratio(row.default, row.best))),
    Column(
        "tried", "number", lambda row: digits(row.tried) if row.tried >= 1e6 else f"{row.tried}"
    ),
    Column("by", "text", lambda row: row.searched or UNKNOWN),
)


def called(task: Facts) -> str:
    """Returns what people call a layer of a summary; older ones have the compiler's name only."""
    return task.text("short") or task.text("name")


def layers_of(summary: Facts) -> list[ShownLayer]:
    """Returns the layers of a finished run, most time first."""
    tasks = summary.rows("tasks")
    rows = [_layer(task) for task in tasks]
    parts = shares([r.weight * r.seconds if r.seconds < inf else inf for r in rows])
    shown = [replace(row, share=share) for row, share in zip(rows, parts, strict=True)]
    return sorted(shown, key=lambda row: -(row.share or 0.0))


def _layer(task: Facts) -> ShownLayer:
    """Returns a layer of a summary, without its share."""
    return ShownLayer(
        called(task),
        task.number("weight") or 0.0,
        _seconds(task.number("default_ms")),
        _seconds(task.number("best_ms")),
        int(task.number("measurements") or 0),
        None,
        _reached(task),
        task.text("library") or task.text("searched"),
        _seconds(task.number("inside_ms")),
    )


def layers_so_far(progress: Progress) -> list[ShownLayer]:
    """Returns the layers of a run that has no summary, most time first."""
    parts = progress.shares
    rows = [
        ShownLayer(
            progress.names[layer.task.layer],
            layer.task.weight,
            layer.history.default,
            layer.history.best,
            layer.history.measurements,
            parts.get(layer.task.digest),
            layer.history.measurements + layer.history.known > 0,
            layer.state,
        )
        for layer in progress.fastest
    ]
    return sorted(rows, key=lambda row: -(row.share or 0.0))


def as_json(row: ShownLayer) -> dict[str, object]:
    """Returns a layer as plain data; unknown values are None."""
    return {
        "layer": row.name,
        "weight": row.weight,
        "default_ms": 1e3 * row.default if row.default < inf else None,
        "best_ms": 1e3 * row.best if row.best < inf else None,
        "inside_ms": 1e3 * row.inside if row.inside < inf else None,
        "share": row.share,
        "measurements": row.tried,
        "searched": row.searched or None,
    }


def _reached(task: Facts) -> bool:
    some = any(task.number(name) for name in ("measurements", "from_store"))
    return some or task.number("space_size") == 1


def _seconds(milliseconds: float | None) -> float:
    return inf if milliseconds is None else milliseconds / 1e3
