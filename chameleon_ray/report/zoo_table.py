"""The table of a zoo's models on its page: each beside what its user would run instead."""

from collections.abc import Sequence
from html import escape

from chameleon_ray.report.answers import by_time
from chameleon_ray.report.charts import bar
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.format import UNKNOWN, milliseconds, percent, times
from chameleon_ray.report.layer_name import layer_name
from chameleon_ray.report.layer_result import total
from chameleon_ray.report.result import UNTUNED
from chameleon_ray.report.roofline import whole
from chameleon_ray.report.zoo import ZooEntry
from chameleon_ray.report.zoo_comparison import frameworks
from chameleon_ray.report.zoo_message import outputs

NONE = f'<span class="none">{UNKNOWN}</span>'


def models_table(entries: Sequence[ZooEntry]) -> str:
    """Renders a row per model: its latencies, heaviest layer, nearness to the limit, outputs."""
    columns: tuple[Column[ZooEntry], ...] = (
        Column("model", "text", _name),
        Column("weight", "number", lambda entry: f"{entry.weight:g}"),
        Column("tuned, ms", "number", _tuned),
        *(_other(name) for name in frameworks([entry.result for entry in entries])),
        Column(f"{UNTUNED}, ms", "number", _untuned),
        Column("its heaviest module", "text", _heaviest),
        Column("of the limit", "share", _limit),
        Column("outputs", "text", _outcome),
    )
    return html_table(
        columns, entries, "Models; below a latency, how many times as fast the tuned one is"
    )


def _name(entry: ZooEntry) -> str:
    name = escape(entry.name)
    if entry.result is None:
        return name
    shared = f", {entry.shared} shared" if entry.shared else ""
    layers = f"<small>{entry.layers} layers{shared}</small>" if entry.layers else ""
    return f'<a href="models/{name}/report.html">{name}</a>{layers}'


def _tuned(entry: ZooEntry) -> str:
    tuned = entry.latencies[1]
    return NONE if tuned is None else f"<b>{milliseconds(tuned.seconds)}</b>"


def _untuned(entry: ZooEntry) -> str:
    untuned = entry.latencies[0]
    return NONE if untuned is None else _compared(untuned.seconds, entry)


def _other(name: str) -> Column[ZooEntry]:
    """Returns the column of a framework; the reason stands where it did not run a model."""

    def cell(entry: ZooEntry) -> str:
        for one in entry.result.comparison if entry.result else ():
            if one.name == name and one.latency is not None:
                return _compared(one.latency.seconds, entry)
            if one.name == name:
                return f"{NONE}<small>{escape(one.fault)}</small>"
        return NONE

    return Column(f"{escape(name)}, ms", "number", cell)


def _compared(seconds: float, entry: ZooEntry) -> str:
    """Renders a latency, and how many times as fast the tuned model is."""
    tuned = entry.latencies[1]
    if tuned is None:
        return milliseconds(seconds)
    tone = "good" if seconds > tuned.seconds else "bad"
    ratio = times(seconds / tuned.seconds)
    return f'{milliseconds(seconds)}<small class="{tone}">{ratio}</small>'


def _heaviest(entry: ZooEntry) -> str:
    rows = by_time(entry.result) if entry.result else []
    if not rows:
        return NONE
    share = rows[0].task.weight * rows[0].seconds / total(rows, [row.seconds for row in rows])
    return (
        f'<div class="layer">{layer_name(rows[0].title)}'
        f"<small>{percent(share)} of its layers' time</small></div>"
    )


def _limit(entry: ZooEntry) -> str:
    found = whole(entry.result.layers, entry.result.ceiling) if entry.result else None
    return NONE if found is None else bar(found)


def _outcome(entry: ZooEntry) -> str:
    if entry.problem:
        return f'<span class="bad">{escape(outputs(entry))}</span>: {escape(entry.problem)}'
    tone = "bad" if entry.unverified else "good"
    return f'<span class="{tone}">{escape(outputs(entry))}</span>'
