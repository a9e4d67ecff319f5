"""How near layers are to what the machine can do: their arithmetic and traffic beside its roofs.

A layer takes at least the time of its operations at the machine's greatest rate, and that of its
inputs and outputs to and from memory (Williams et al., 2009). The longer of the two is its limit.
Where a layer is clearly faster than memory, its data are in a cache, and its operations alone are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.report.figure import Columns, Figure, Mark, View
from chameleon_ray.report.layer_history import gflops
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.report.ticks import ticks

CACHED = 1.5
"""Times as fast as memory from which on a layer's data are taken to be in a cache."""


@dataclass(frozen=True)
class Reach:
    """One layer beside the machine's limits.

    Attributes:
        gflops: 10^9 operations a second.
        intensity: Operations for each byte of its inputs and outputs.
        limit: Least seconds that the machine allows.
        share: The limit over the layer's latency: 1 at the limit; more where it is faster than the
            matrix products or the copies that were measured.
        by_memory: Whether memory limits it, and not arithmetic.
        cached: Whether its inputs and outputs came faster than memory gives them.
    """

    gflops: float
    intensity: float
    limit: float
    share: float
    by_memory: bool
    cached: bool = False


def reach(row: LayerResult, ceiling: Ceiling | None) -> Reach | None:
    """Returns how near a layer is to its limit.

    It is None where that is not known, as for a layer without operations whose data are in a cache.
    """
    task = row.task
    if ceiling is None or not isfinite(row.best) or row.seconds <= 0 or task.traffic <= 0:
        return None
    arithmetic, memory = task.flop / ceiling.flops, task.traffic / ceiling.bytes
    cached = memory > CACHED * row.seconds
    limit = arithmetic if cached else max(arithmetic, memory)
    if limit == 0:
        return None
    return Reach(
        gflops=task.flop / row.seconds / 1e9,
        intensity=task.flop / task.traffic,
        limit=limit,
        share=limit / row.seconds,
        by_memory=limit > arithmetic,
        cached=cached,
    )


def whole(rows: Sequence[LayerResult], ceiling: Ceiling | None) -> float | None:
    """Returns the share of their time that layers would take at their limits; None if unknown.

    A layer that is beyond its limit counts as at it.
    """
    known = [(row, found) for row in rows if (found := reach(row, ceiling)) is not None]
    spent = sum(row.task.weight * row.seconds for row, _ in known)
    if spent <= 0:
        return None
    return (
        sum(row.task.weight * row.seconds * min(found.share, 1.0) for row, found in known) / spent
    )


def roofline(rows: Sequence[LayerResult], ceiling: Ceiling, names: dict[str, str]) -> Figure | None:
    """Declares the figure: each layer's rate over its intensity, under the roofs.

    None where no layer has operations and a latency.
    """
    found = [(row, one) for row in rows if (one := reach(row, ceiling)) and one.gflops > 0]
    if not found:
        return None
    before = [gflops(row.task, row.default) for row, _ in found]
    dots: Columns = {
        "layer": [names[row.task.digest] for row, _ in found],
        "FLOP per byte": [one.intensity for _, one in found],
        "GFLOP/s": [one.gflops for _, one in found],
        "default, GFLOP/s": before,
        "share of its limit, %": [100 * one.share for _, one in found],
        "limited by": ["memory" if one.by_memory else "arithmetic" for _, one in found],
        "time in the model, ms": [1e3 * row.task.weight * row.seconds for row, _ in found],
    }
    marks = (*_roofs(ceiling, [one.intensity for _, one in found]), *_layers(dots))
    view = View("", marks, _axes(dots, ceiling))
    told = (
        f"Dots are tuned layers, larger ones take more of the model's time; the roof is what "
        f"{_cores(ceiling)} reached in matrix products ({ceiling.flops / 1e9:.0f} GFLOP/s) and in "
        f"copies of memory ({ceiling.bytes / 1e9:.0f} GB/s), measured at the end of the run. A dot "
        "at the roof does its operations as fast as the machine was seen to; one above it has its "
        "data in a cache, or is faster than NumPy's matrix products. A layer's operations are "
        "those of the algorithm that it is computed by: Winograd's has fewer than a direct "
        "convolution."
    )
    legend = (("tuned", "var(--best)"), ("default schedule", "var(--faint)"))
    return Figure("roofline", "Layers under the machine's roof", told, (view,), dots, legend)


_X, _Y = "FLOP per byte", "GFLOP/s"


def _axes(dots: Columns, ceiling: Ceiling) -> dict[str, Any]:
    rates = [float(str(v)) for title in (_Y, "default, GFLOP/s") for v in dots[title] if v]
    low, high = min(rates) / 1.5, max([*rates, ceiling.flops / 1e9]) * 1.5
    log, marks = {"type": "log", "tickFormat": "~r"}, ticks(low, high)
    return {
        "height": 360,
        "marginRight": 20,
        "x": log | {"label": "operations per byte (log scale)", "ticks": 5},
        "y": log
        | {"label": "GFLOP/s (log scale)", "domain": [low, high], "grid": True, "ticks": marks},
        "r": {"range": [3, 14]},
    }


def _cores(ceiling: Ceiling) -> str:
    return "this core" if ceiling.cores == 1 else f"these {ceiling.cores} cores"


def _roofs(ceiling: Ceiling, intensities: Sequence[float]) -> tuple[Mark, ...]:
    peak, traffic = ceiling.flops / 1e9, ceiling.bytes / 1e9
    ridge = peak / traffic
    low, high = min([*intensities, ridge]) / 1.5, max([*intensities, ridge]) * 1.5
    roof: Columns = {_X: [low, ridge, high], _Y: [low * traffic, peak, peak]}
    level: Columns = {_X: [low, ridge], _Y: [peak, peak]}
    words: Columns = {_X: [low], _Y: [peak], "text": [f"{peak:.0f} GFLOP/s"]}
    line = {"x": _X, "y": _Y, "stroke": "var(--s1)", "strokeWidth": 2, "clip": True}
    text = {"x": _X, "y": _Y, "text": "text", "dy": -9, "textAnchor": "start"}
    dashes = {"x": _X, "y": _Y, "stroke": "var(--s1)", "strokeDasharray": "2 4"}
    return Mark("line", roof, line), Mark("line", level, dashes), Mark("text", words, text)


def _layers(dots: Columns) -> tuple[Mark, ...]:
    rise = {"x": _X, "y1": "default, GFLOP/s", "y2": _Y, "stroke": "var(--line)"}
    faint = {"x": _X, "y": "default, GFLOP/s", "r": 2.5, "fill": "var(--faint)"}
    shown = {title: title for title in dots if title not in (_X, _Y)}
    style = {"fill": "var(--best)", "fillOpacity": 0.7, "stroke": "var(--card)", "tip": True}
    dot = {"x": _X, "y": _Y, "r": "time in the model, ms", "channels": shown} | style
    return Mark("ruleX", dots, rise), Mark("dot", dots, faint), Mark("dot", dots, dot)
