"""The explanation of a difference between a model's latency and the sum of its layers'."""

from math import isfinite

from chameleon_ray.layer_names import short_names
from chameleon_ray.report.format import counted, milliseconds
from chameleon_ray.report.layer_result import LayerResult, total
from chameleon_ray.report.result import Latency, RunResult
from chameleon_ray.reporting import Reporting
from chameleon_ray.winners import LEFT_OUT


def explain(result: RunResult, options: Reporting | None = None) -> str | None:
    """Tells why the model's latency is not near the weighted sum of its layers'.

    The result is None where the two are near each other, or where one of them is unknown.
    """
    rows, options = result.layers, options or Reporting()
    whole, parts = _seconds(result.tuned), total(rows, [row.best for row in rows])
    if not isfinite(whole) or not isfinite(parts) or _near(whole, parts, options.agreement):
        return None
    found = [
        f"The tuned model takes {milliseconds(whole)} ms, its layers {milliseconds(parts)} ms."
    ]
    missing = [row for row in rows if not isfinite(row.best)]
    if left := sum(row.reason == LEFT_OUT for row in missing):
        found.append(f"The sum lacks {counted(left, 'layer')} {LEFT_OUT}.")
        missing = [row for row in missing if row.reason != LEFT_OUT]
    unreached = sum(not row.measurements for row in missing)
    if unreached:
        more = "give more --minutes or --trials"
        found.append(
            f"The sum lacks {counted(unreached, 'layer')} that the search never reached; {more}."
        )
    if failed := len(missing) - unreached:
        found.append(f"The sum lacks {counted(failed, 'layer')} without a successful measurement.")
    if result.explanation:
        found.append(result.explanation)
    else:
        found += _inside(result, options) or _before(result, whole - parts, options)
    return " ".join(found)


def _inside(result: RunResult, options: Reporting) -> list[str]:
    """Names the layers that take longer inside the model, or less, where they were timed there."""
    rows, whole = result.layers, _seconds(result.tuned)
    if not all(isfinite(row.inside) for row in rows if isfinite(row.best)):
        return []
    names = short_names(result.tasks)
    timed = [row for row in rows if isfinite(row.best) and isfinite(row.inside)]
    worst = sorted(timed, key=lambda row: -abs(_gap(row)))[: options.blamed]
    notable = [row for row in worst if abs(_gap(row)) > options.agreement / 5 * whole]
    found = []
    if notable:
        each = "; ".join(
            f"{names[row.task.layer]} {milliseconds(row.inside)} ms{_times(row)}, alone "
            f"{milliseconds(row.best)}"
            for row in notable
        )
        found.append(f"These take another time inside the model than alone: {each}.")
    between = whole - total(rows, [row.inside for row in rows])
    if between > options.agreement / 5 * whole:
        found.append(f"The work between layers takes {milliseconds(between)} ms.")
    return found


def _gap(row: LayerResult) -> float:
    """Returns the seconds by which all executions of a layer are longer inside the model."""
    return row.task.weight * (row.inside - row.best)


def _times(row: LayerResult) -> str:
    return f" ({row.task.weight:g} times)" if row.task.weight > 1 else ""


def _before(result: RunResult, gap: float, options: Reporting) -> list[str]:
    """Compares the gap between model and layers, in seconds, with that before tuning."""
    rows, untuned = result.layers, _seconds(result.untuned)
    defaults = [row.default for row in rows]
    if not isfinite(untuned) or not all(map(isfinite, defaults)):
        return []
    parts = total(rows, defaults)
    before = untuned - parts
    said = f"The untuned model differs from its layers by {milliseconds(before)} ms"
    if abs(gap - before) <= 0.5 * abs(gap):
        return [
            f"{said}, about as much: the difference was there before tuning, in the work between "
            "layers or in timing layers alone."
        ]
    if _near(untuned, parts, options.agreement):
        return [
            f"{said} only: some winners behave otherwise inside the model (caches, layouts, "
            "threads), or were not applied."
        ]
    return []  # which tells nothing of the tuned model


def _near(whole: float, parts: float, agreement: float) -> bool:
    return abs(whole - parts) <= agreement * parts


def _seconds(latency: Latency | None) -> float:
    return latency.seconds if latency else float("inf")
