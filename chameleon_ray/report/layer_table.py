"""The report's table of layers; another column is another entry of ``COLUMNS``."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.report.charts import bar
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.format import UNKNOWN, digits, milliseconds, times
from chameleon_ray.report.layer_history import gflops, shares
from chameleon_ray.report.layer_name import layer_name
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.report.roofline import Reach, reach
from chameleon_ray.reporting import Reporting
from chameleon_ray.winners import LEFT_OUT


@dataclass(frozen=True)
class Row:
    """One layer and its share of the weighted sum of all layers, None where unknown.

    Attributes:
        layer: Result of the layer.
        share: Share of the layer with the winners.
        most: Largest share in the table, whose bar is full.
        reach: How near the layer is to the machine's limit.
    """

    layer: LayerResult
    share: float | None
    most: float
    reach: Reach | None = None


COLUMNS: tuple[Column[Row], ...] = (
    Column("layer", "text", lambda row: _layer(row.layer)),
    Column("times", "number", lambda row: f"{row.layer.task.weight:g}"),
    Column("ms each", "number", lambda row: _each(row.layer)),
    Column("time in model", "share", lambda row: bar(row.share, row.most)),
    Column("of the limit", "share", lambda row: _limit(row.reach)),
    Column("GFLOP/s", "number", lambda row: digits(gflops(row.layer.task, row.layer.seconds))),
    Column("default ms", "number", lambda row: milliseconds(row.layer.default)),
    Column("faster", "number", lambda row: times(row.layer.speedup)),
    Column("measured", "number", lambda row: str(row.layer.measurements)),
    Column("searched by", "text", lambda row: escape(row.layer.searched)),
    Column("outcome", "text", lambda row: _outcome(row.layer)),
)


def layer_table(layers: Sequence[LayerResult], ceiling: Ceiling | None = None) -> str:
    """Renders the layers as HTML, those that take most time first."""
    found = shares([layer.task.weight * layer.seconds for layer in layers])
    most = max((share or 0.0 for share in found), default=0.0)
    rows = [
        Row(layer, share, most, reach(layer, ceiling))
        for layer, share in zip(layers, found, strict=True)
    ]
    caption = (
        "All layers, most time first; times and shares are of one execution of the model, and "
        "default ms and faster are of the layer alone"
    )
    return html_table(COLUMNS, sorted(rows, key=lambda row: -(row.share or 0.0)), caption)


def _each(layer: LayerResult) -> str:
    """Renders what a layer takes in the model, and alone where that is something else."""
    shown, alone = milliseconds(layer.seconds), milliseconds(layer.best)
    apart = abs(layer.seconds - layer.best) > Reporting.agreement * layer.best
    return f"{shown}<small>alone {alone}</small>" if isfinite(layer.seconds) and apart else shown


def _limit(found: Reach | None) -> str:
    """Renders the share of its limit that a layer reaches, and what limits it."""
    if found is None:
        return f'<span class="none">{UNKNOWN}</span>'
    by = "memory" if found.by_memory else "arithmetic"
    by += ", its data being in a cache" if found.cached else ""
    return f"{bar(found.share)}<small>{by}</small>"


def _layer(layer: LayerResult) -> str:
    task = layer.task
    inside = f"<code>{layer_name(task.name)}</code> <small>{escape(task.shape)}</small>"
    return (
        f'<div class="layer">{layer_name(layer.title)}'
        f"<details><summary>inside</summary>{inside}</details></div>"
    )


def _outcome(layer: LayerResult) -> str:
    return f'<div class="outcome">{_ending(layer)}</div>'


def _ending(layer: LayerResult) -> str:
    if not isfinite(layer.best):
        word = '<span class="bad">never timed</span>'
        if not layer.measurements and layer.reason != LEFT_OUT:  # no candidate was there to compare
            return word
    else:
        word = "kept default" if layer.kept_default else "tuned"
        word = f"{layer.library}'s kernel" if layer.library else word
    word += ", from the store" if layer.from_store else ""
    reason = f": {escape(layer.reason)}" if layer.reason else ""
    reason += _lowerings(layer)
    if not layer.values or not isfinite(layer.best):
        return word + reason
    knobs = f"<details><summary>schedule</summary><code>{escape(layer.values)}</code></details>"
    return word + reason + knobs


def _lowerings(layer: LayerResult) -> str:
    """Renders which lowering a layer has, and what others reached, where there are several."""
    if not layer.others:
        return ""
    others = ", ".join(f"{name} {milliseconds(best)} ms" for name, best in layer.others)
    return f"<small>{escape(layer.task.lowering)}; {escape(others)}</small>"
