"""What each part of the system brought: what it proposed, and what that took off the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import isfinite

from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.charts import bar
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.format import milliseconds
from chameleon_ray.report.layer_result import total
from chameleon_ray.report.result import RunResult
from chameleon_ray.vendor import library_of

UNKNOWN = "not recorded"
STORE = "store"
MEANINGS = {
    "default schedule": "TVM's own schedule of the layer",
    "other runs": "the best of the store and of earlier runs, tried first",
    STORE: "measured by earlier runs, so not again",
    "vendor": "kernels of the vendor's libraries",
    "random": "drawn at random: first plans, and a small share of later ones",
    "other layers": "chosen by what layers of the same operators had taught",
    "scored whole": "the cost model scored all of a small space; one of each cluster was measured",
    "synthesised": "made of the choices that good candidates share",
    UNKNOWN: "records of an earlier version do not say it",
}
"""What the names of ``Record.chosen_by`` mean; others are explorers'."""


@dataclass
class Part:
    """What one part of the system proposed, and what that gained.

    Attributes:
        name: Name of the part.
        measurements: Number of configurations that it proposed and that were measured.
        failed: How many of them failed.
        winners: Number of layers whose winner it proposed.
        gained: Seconds that its configurations took off the model, beside the best before them.
    """

    name: str
    measurements: int = 0
    failed: int = 0
    winners: int = 0
    gained: float = 0.0


@dataclass(frozen=True)
class Parts:
    """All parts of a system.

    Attributes:
        start: Seconds of the model with default schedules, as a sum of its layers.
        parts: The parts, in the order in which they come into play.
    """

    start: float
    parts: list[Part] = field(default_factory=list)


def parts_of(result: RunResult) -> Parts:
    """Books every measurement, and what it gained, to the part that chose it.

    Layers whose default schedule has no latency count from the first latency that they have.
    """
    layers = {task.digest: task for task in result.tasks}
    best = {row.task.layer: row.default for row in result.layers}
    start = total(result.layers, [row.default for row in result.layers])
    found: dict[str, Part] = {}
    for record in result.records:
        if (task := layers.get(record.task)) is None:
            continue
        part = found.setdefault(chosen_by(record), Part(chosen_by(record)))
        part.measurements += not record.origin
        part.failed += not record.origin and not record.latencies
        gain = best[task.layer] - record.latency
        if gain > 0:
            best[task.layer] = record.latency
            part.gained += task.weight * gain if isfinite(gain) else 0.0
    for name in _winners(result):
        found.setdefault(name, Part(name)).winners += 1
    order = {name: number for number, name in enumerate(MEANINGS)}
    place = order["scored whole"]  # an explorer's, too
    return Parts(start, sorted(found.values(), key=lambda part: order.get(part.name, place)))


def chosen_by(record: Record) -> str:
    """Returns what chose a configuration, also where the record itself does not say it."""
    if record.origin:
        return STORE
    if record.chosen_by:
        return record.chosen_by
    if record.config == DEFAULT:
        return "default schedule"
    return "vendor" if library_of(record.config) else UNKNOWN


def _winners(result: RunResult) -> list[str]:
    """Returns what chose each layer's winner."""
    names = {(record.task, record.config): chosen_by(record) for record in result.records}
    won = [(outcome.task, outcome.config) for outcome in result.outcomes]
    return [names[key] for key in won if key in names]


def parts_table(parts: Parts) -> str:
    """Renders the parts as HTML."""
    whole = sum(part.gained for part in parts.parts) or 1.0
    columns: tuple[Column[Part], ...] = (
        Column("chosen by", "text", lambda part: _name(part.name)),
        Column("measured", "number", lambda part: str(part.measurements)),
        Column("failed", "number", lambda part: str(part.failed)),
        Column("winners", "number", lambda part: str(part.winners)),
        Column("gained, ms", "number", lambda part: milliseconds(part.gained)),
        Column("of all", "share", lambda part: bar(part.gained / whole)),
    )
    return html_table(columns, parts.parts, "What chose the configurations, and what they gained")


def _name(name: str) -> str:
    meaning = MEANINGS.get(name, "an explorer walked the space; one of each cluster was measured")
    return f"{escape(name)}<small>{escape(meaning)}</small>"


def told(parts: Parts, result: RunResult) -> str:
    """Tells in a sentence how the model came to its latency."""
    found = []
    if result.untuned is not None:
        found.append(f"Untuned TVM takes {milliseconds(result.untuned.seconds)} ms.")
    if isfinite(parts.start):
        timed = sum(isfinite(row.default) for row in result.layers)
        which = (
            "the layers" if timed == len(result.layers) else f"the {timed} layers that were timed"
        )
        found.append(
            f"As they are laid out for the target, with TVM's default schedules, {which} take "
            f"{milliseconds(parts.start)} ms; what follows is taken off that."
        )
    return " ".join(found)


def counts(records: Sequence[Record]) -> Mapping[str, int]:
    """Counts some records by what chose them."""
    names = [chosen_by(record) for record in records]
    return {name: names.count(name) for name in dict.fromkeys(names)}
