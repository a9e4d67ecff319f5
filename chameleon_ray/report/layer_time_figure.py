"""The figure of where a tuned model's time goes, layer by layer, beside what the machine allows."""

from collections.abc import Mapping, Sequence
from math import isfinite

from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.report.figure import Columns, Figure, Mark, View
from chameleon_ray.report.format import counted, percent
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.report.roofline import reach

MOST = 16
"""Most layers that are drawn, those that take most time."""
ROW = 36
"""Pixels of a row: a name and a bar below it."""


def layer_time_figure(
    rows: Sequence[LayerResult], ceiling: Ceiling | None, names: Mapping[str, str]
) -> Figure | None:
    """Declares the figure; None where no layer was timed."""
    known = [row for row in rows if isfinite(row.best)]
    known.sort(key=lambda row: -row.task.weight * row.best)
    drawn = known[:MOST]
    if not drawn:
        return None
    whole = sum(row.task.weight * row.best for row in known)
    bars = _bars(drawn, whole, ceiling, names)
    told = f"The {counted(len(drawn), 'layer')} that take most of the tuned model's time."
    if len(known) > len(drawn):
        rest = sum(row.task.weight * row.best for row in known[MOST:])
        told += f" The other {len(known) - MOST} take {percent(rest / whole)}."
    legend = [("time in the model", "var(--best)")]
    if ceiling is not None:
        told += " The darker part is the least that the machine allows: what is left can be gained."
        legend.append(("the machine's limit", "var(--deep)"))
    axes = {
        "height": ROW * len(drawn) + 50,
        "marginLeft": 12,
        "marginRight": 16,
        "x": {"label": "ms in one execution of the model", "grid": True},
        "y": {"axis": None, "domain": bars["layer"], "padding": 0.0},
    }
    view = View("", _marks(bars), axes)
    return Figure("layer-time", "Where the model's time goes", told, (view,), bars, tuple(legend))


def _bars(
    rows: Sequence[LayerResult],
    whole: float,
    ceiling: Ceiling | None,
    names: Mapping[str, str],
) -> Columns:
    """Returns the data of the bars; ``whole`` is the weighted sum of all layers in seconds."""
    seconds = [row.task.weight * row.best for row in rows]
    limits = [reach(row, ceiling) for row in rows]
    called = [names[row.task.digest] for row in rows]
    return {
        "layer": called,
        "ms in the model": [1e3 * each for each in seconds],
        "of all, %": [100 * each / whole for each in seconds],
        "times": [row.task.weight for row in rows],
        "limit, ms": [
            None if one is None else 1e3 * row.task.weight * min(one.limit, row.best)
            for row, one in zip(rows, limits, strict=True)
        ],
        "label": [
            f"{percent(each / whole)}  {name}{f' · {row.task.what}' if row.task.what else ''}"
            for row, name, each in zip(rows, called, seconds, strict=True)
        ],
    }


def _marks(bars: Columns) -> tuple[Mark, ...]:
    inset = {"y": "layer", "insetTop": 19, "insetBottom": 4}
    shown = {"layer": "layer", "of all": "of all, %", "times": "times", "limit, ms": "limit, ms"}
    bar = {"x": "ms in the model", "fill": "var(--best)", "channels": shown, "tip": True}
    limit = {"x": "limit, ms", "fill": "var(--deep)"}
    text = {"x": 0, "y": "layer", "text": "label", "textAnchor": "start", "fill": "currentColor"}
    return (
        Mark("barX", bars, inset | bar),
        Mark("barX", bars, inset | limit),
        Mark("text", bars, text | {"dy": -9, "dx": 2, "fontSize": 12}),
    )
