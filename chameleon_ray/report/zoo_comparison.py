"""A zoo beside the frameworks that its user would run instead: latencies, and means over models."""

from collections.abc import Sequence
from math import exp, log

from chameleon_ray.report.format import UNKNOWN, milliseconds, times
from chameleon_ray.report.result import UNTUNED, RunResult


def frameworks(results: Sequence[RunResult | None]) -> list[str]:
    """Returns the names of the frameworks that ran any of the models."""
    found = [one.name for result in results if result for one in result.comparison if one.latency]
    return list(dict.fromkeys(found))


def latency(result: RunResult | None, framework: str) -> str:
    """Formats a framework's latency for a model in ms; a dash where it has none."""
    for one in result.comparison if result else ():
        if one.name == framework and one.latency is not None:
            return milliseconds(one.latency.seconds)
    return UNKNOWN


def means(results: Sequence[RunResult | None]) -> str:
    """Tells how many times as fast the tuned models are: as each framework, and as untuned TVM."""
    parts = []
    for name in frameworks(results):
        ratios = [
            one.latency.seconds / result.tuned.seconds
            for result in results
            if result is not None and result.tuned is not None
            for one in result.comparison
            if one.name == name and one.latency is not None
        ]
        parts.append(_mean(name, ratios))
    known = [result.speedup for result in results if result is not None and result.speedup]
    if known:
        parts.append(_mean(UNTUNED, known))
    return f"Geometric means: {'; '.join(parts)}." if parts else "No model was timed."


def _mean(name: str, ratios: Sequence[float]) -> str:
    mean = exp(sum(map(log, ratios)) / len(ratios))
    models = "1 model" if len(ratios) == 1 else f"{len(ratios)} models"
    return f"{times(mean)} as fast as {name} ({models})"
