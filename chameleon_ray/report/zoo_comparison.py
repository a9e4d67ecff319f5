"""A zoo beside the frameworks that its user would run instead: latencies, and means over models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log

from chameleon_ray.report.format import UNKNOWN, counted, milliseconds, times
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


@dataclass(frozen=True)
class Mean:
    """How many times as fast as something else the tuned models are.

    Attributes:
        other: Name of the framework, or of untuned TVM.
        times: Geometric mean of the latencies there over the tuned ones.
        models: Number of models that both have timed.
    """

    other: str
    times: float
    models: int

    @property
    def words(self) -> str:
        """What the number means, for people."""
        return f"as fast as {self.other} ({counted(self.models, 'model')})"


def means(results: Sequence[RunResult | None]) -> list[Mean]:
    """Returns the means over each framework that ran any of the models, and over untuned TVM."""
    done = [result for result in results if result is not None and result.tuned is not None]
    ratios = {name: over(name, done) for name in frameworks(done)}
    ratios[UNTUNED] = [result.speedup for result in done if result.speedup]
    return [
        Mean(name, exp(sum(map(log, known)) / len(known)), len(known))
        for name, known in ratios.items()
        if known
    ]


Fault = tuple[str, str, str]
"""Name of a model, that of a framework, and why they were not timed beside each other."""


def faults_of(model: str, result: RunResult | None) -> list[Fault]:
    """Returns what a model of this name was not compared with."""
    compared = result.comparison if result else ()
    return [(model, one.name, one.fault) for one in compared if one.latency is None]


def left_out(faults: Iterable[Fault]) -> list[str]:
    """Tells which models were not compared with which framework, and why."""
    found: dict[tuple[str, str], list[str]] = {}
    for model, framework, fault in faults:
        found.setdefault((framework, fault), []).append(model)
    alike: dict[tuple[str, str], list[str]] = {}
    for (framework, fault), names in found.items():
        alike.setdefault((", ".join(names), fault), []).append(framework)
    return [
        f"Not compared with {' and '.join(others)}: {names} ({fault})."
        for (names, fault), others in alike.items()
    ]


def told(found: Sequence[Mean]) -> str:
    """Tells the means in a sentence."""
    parts = "; ".join(f"{times(one.times)} {one.words}" for one in found)
    return f"Geometric means: {parts}." if parts else "No model was timed."


def over(name: str, results: Sequence[RunResult]) -> list[float]:
    """Returns a framework's latencies over those of the tuned models, where it has any."""
    return [
        one.latency.seconds / result.tuned.seconds
        for result in results
        for one in result.comparison
        if one.name == name and one.latency is not None and result.tuned is not None
    ]
