"""The figure of one layer's search: its best latency over measurements, to its final timing."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from chameleon_ray.report.figure import Columns, Figure, Mark, View
from chameleon_ray.report.format import counted, digits
from chameleon_ray.report.layer_history import Point
from chameleon_ray.report.ticks import ticks, whole_ticks

COUNT, LATENCY = "measurements", "best, ms"
HEIGHT = 150
SPARE = 1.12
"""Factor by which the axis goes beyond what is drawn."""


def layer_figure(
    name: str,
    title: str,
    curve: Sequence[Point],
    default_ms: float = float("inf"),
    final_ms: float = float("inf"),
) -> Figure:
    """Declares the figure, small.

    Args:
        name: Name of the figure in the page.
        title: The layer.
        curve: Its improvements and the last measurement; at least one point.
        default_ms: Its default schedule; not finite where unknown, and not drawn then.
        final_ms: The winner in the final timing; not finite where there was none.
    """
    line: Columns = {
        COUNT: [point.measurements for point in curve],
        "seconds": [point.seconds for point in curve],
        LATENCY: [point.best_ms for point in curve],
    }
    steps = {"x": COUNT, "y": LATENCY, "stroke": "var(--best)", "curve": "step-after"}
    marks = [
        Mark("line", line, steps | {"strokeWidth": 2}),
        Mark("dot", line, {"x": COUNT, "y": LATENCY, "r": 2, "fill": "var(--best)", "tip": True}),
    ]
    last = curve[-1].measurements
    told = f"{digits(curve[-1].best_ms)} ms after {counted(last, 'measurement')}"
    if isfinite(default_ms):
        rule = {"y": "default, ms", "stroke": "var(--soft)", "strokeDasharray": "3 3"}
        marks.insert(0, Mark("ruleY", {"default, ms": [default_ms]}, rule))
        told += f", default {digits(default_ms)} ms"
    if isfinite(final_ms):
        final: Columns = {COUNT: [last], "final timing, ms": [final_ms]}
        dot = {"x": COUNT, "y": "final timing, ms", "symbol": "diamond", "fill": "var(--s2)"}
        marks.append(Mark("dot", final, dot | {"r": 6, "stroke": "var(--card)", "tip": True}))
        told += f"; final timing {digits(final_ms)} ms"
    seen = [point.best_ms for point in curve] + [
        ms for ms in (default_ms, final_ms) if isfinite(ms)
    ]
    view = View("", tuple(marks), _axes(seen, last))
    return Figure(name, title, f"{told}.", (view,), line, small=True)


def _axes(seen: Sequence[float], last: int) -> dict[str, Any]:
    low, high = min(seen) / SPARE, max(seen) * SPARE
    marks = ticks(low, high)
    return {
        "height": HEIGHT,
        "marginLeft": 52,
        "marginRight": 14,
        "marginTop": 12,
        "x": {"label": None, "ticks": whole_ticks(last), "tickFormat": "d"},
        "y": {"label": None, "type": "log", "domain": [low, high], "ticks": marks}
        | {"tickFormat": ".2~r", "grid": True},
    }
