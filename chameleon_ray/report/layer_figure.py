"""The figure of one layer's search: its best latency over measurements, to its final timing."""

from collections.abc import Iterator, Sequence
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
    last, known = curve[-1].measurements, (default_ms, final_ms)
    seen = [point.best_ms for point in curve] + [ms for ms in known if isfinite(ms)]
    told = f"{digits(curve[-1].best_ms)} ms after {counted(last, 'measurement')}"
    told += f", default {digits(default_ms)} ms" if isfinite(default_ms) else ""
    told += f"; final timing {digits(final_ms)} ms" if isfinite(final_ms) else ""
    view = View("", tuple(_marks(line, last, default_ms, final_ms)), _axes(seen, last))
    return Figure(name, title, f"{told}.", (view,), line, small=True)


def _marks(line: Columns, last: int, default_ms: float, final_ms: float) -> Iterator[Mark]:
    if isfinite(default_ms):
        rule = {"y": "default, ms", "stroke": "var(--soft)", "strokeDasharray": "3 3"}
        yield Mark("ruleY", {"default, ms": [default_ms]}, rule)
    at = {"x": COUNT, "y": LATENCY}
    steps = {"stroke": "var(--best)", "strokeWidth": 2, "curve": "step-after"}
    yield Mark("line", line, at | steps)
    yield Mark("dot", line, at | {"r": 2, "fill": "var(--best)", "tip": True})
    if isfinite(final_ms):
        final: Columns = {COUNT: [last], "final timing, ms": [final_ms]}
        dot = {"x": COUNT, "y": "final timing, ms", "symbol": "diamond", "fill": "var(--s2)"}
        yield Mark("dot", final, dot | {"r": 6, "stroke": "var(--card)", "tip": True})


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
