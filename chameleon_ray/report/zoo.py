"""A tuned zoo: one result per model, and what came of all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, inf, isfinite, log
from pathlib import Path

from chameleon_ray.lowerings import by_layer
from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.merging import Merged
from chameleon_ray.options import Request
from chameleon_ray.presets import PRESETS
from chameleon_ray.record import Record, own
from chameleon_ray.report import buckets
from chameleon_ray.report.layer_history import Point
from chameleon_ray.report.layer_result import LayerOutcome, LayerResult
from chameleon_ray.report.result import Latency, RunResult, difference
from chameleon_ray.report.zoo_comparison import Fault, faults_of
from chameleon_ray.task import Task
from chameleon_ray.vendor import is_searched


@dataclass(frozen=True)
class ZooEntry:
    """One model of a zoo at the end.

    Attributes:
        name: Name of the model in the zoo.
        request: Request that would tune the model alone.
        weight: Importance of the model.
        folder: Run directory of the model.
        layers: Number of distinct layers; 0 where the model could not be imported.
        shared: Number of those layers that other models have, too.
        result: Result of the model; None where it failed.
        failure: Reason for the failure; empty where the model did not fail.
    """

    name: str
    request: Request
    weight: float
    folder: Path = Path()
    layers: int = 0
    shared: int = 0
    result: RunResult | None = None
    failure: str = ""

    @property
    def problem(self) -> str:
        """The problem with the model, in a sentence; empty where there is none."""
        if self.result is None:
            return self.failure
        return difference(self.result.verified, self.folder / "model.so")

    @property
    def unverified(self) -> bool:
        """Whether the outputs could be compared with untuned TVM's only."""
        verified = self.result.verified if self.result else None
        return verified is not None and verified.outcome == "unverified"

    @property
    def latencies(self) -> tuple[Latency | None, Latency | None]:
        """Latencies of the whole model, untuned and tuned; None where it was not timed."""
        return (self.result.untuned, self.result.tuned) if self.result else (None, None)

    @property
    def speedup(self) -> float | None:
        return self.result.speedup if self.result else None


@dataclass(frozen=True)
class ZooResult:
    """The results of a zoo.

    Attributes:
        file: YAML file that names the models.
        common: Options that the models have in common.
        folder: Directory of the zoo.
        entries: One per model.
        merged: The layers of the models that could be imported.
        records: Every measurement of every session, in order.
        device: Device that layers were timed on.
        wall_seconds: Time from the command's start to its end.
        device_busy_fraction: Share of the devices' wall time that they timed kernels for, in the
            search.
        library: The one library of all models, where they are buckets of one; else None.
    """

    file: Path
    common: Request
    folder: Path
    entries: tuple[ZooEntry, ...]
    merged: Merged
    records: tuple[Record, ...]
    device: str
    wall_seconds: float
    device_busy_fraction: float
    library: Path | None = None

    @property
    def buckets(self) -> list[str]:
        """Sentences about the library of all; none where each model has its own."""
        return buckets.told(self.results, self.folder, self.library)

    @property
    def results(self) -> list[RunResult]:
        """Results of the models that did not fail."""
        return [entry.result for entry in self.entries if entry.result]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The layers of all models; a weight is the sum of importance times occurrences."""
        return self.merged.tasks

    @cached_property
    def layers(self) -> tuple[LayerResult, ...]:
        """Results of all layers, each once."""
        own: dict[str, list[Record]] = {task.digest: [] for task in self.tasks}
        for record in self.records:
            if record.task in own:
                own[record.task].append(record)
        outcomes = {outcome.task: outcome for outcome in self.outcomes}
        layers = by_layer(self.tasks, lambda task: task).values()
        return tuple(LayerResult.among(tasks, own, outcomes) for tasks in layers)

    @cached_property
    def outcomes(self) -> tuple[LayerOutcome, ...]:
        """The choice for each layer at the end, once."""
        found = {outcome.task: outcome for result in self.results for outcome in result.outcomes}
        return tuple(found.values())

    @property
    def ceiling(self) -> Ceiling | None:
        """What the timing cores can do at most; None where that was not measured."""
        results = (entry.result for entry in self.entries)
        return next((result.ceiling for result in results if result), None)

    @property
    def faults(self) -> list[Fault]:
        """The comparisons with frameworks that were not made."""
        return [one for e in self.entries for one in faults_of(e.name, e.result)]

    @property
    def request(self) -> Request:
        """The request of all models, in the place of whose model is the zoo's file."""
        return replace(self.common, model=str(self.file))

    @property
    def saved(self) -> int:
        """Number of measurements that tuning each model alone would have made again."""
        return self.merged.saved([record.task for record in own(self.records)])

    @property
    def speedup(self) -> float | None:
        """Geometric mean of the speedups of the models that were timed; None where none was."""
        known = [entry.speedup for entry in self.entries if entry.speedup]
        return exp(sum(map(log, known)) / len(known)) if known else None

    @property
    def weighted(self) -> tuple[float, float]:
        """Seconds of all timed models, untuned and tuned, each times its importance."""
        pairs = [(e.weight, *e.latencies) for e in self.entries if e.speedup]
        before = sum(weight * untuned.seconds for weight, untuned, _ in pairs if untuned)
        return before, sum(weight * tuned.seconds for weight, _, tuned in pairs if tuned)

    @property
    def taught(self) -> int:
        """Number of layers that were begun after one of the same operators had been timed."""
        if not (self.common.transfer and PRESETS[self.common.preset].transfer):
            return 0
        kinds = {task.digest: task.kind for task in self.merged.tasks}
        timed: dict[str, set[str]] = {}
        begun: dict[str, bool] = {}
        for record in self.records:
            kind = kinds.get(record.task)
            if kind is None or not is_searched(record.config):
                continue
            begun.setdefault(record.task, bool(timed.get(kind, set()) - {record.task}))
            if record.latencies:
                timed.setdefault(kind, set()).add(record.task)
        return sum(begun.values())

    @property
    def curve(self) -> list[Point]:
        """Weighted sum of all layers' best latencies at every improvement, once each has one."""
        return list(self._points())

    def _points(self) -> Iterator[Point]:
        weights = {task.layer: task.weight for task in self.merged.tasks}
        layers = {task.digest: task.layer for task in self.merged.tasks}
        best = dict.fromkeys(weights, inf)
        for number, record in enumerate(self.records, 1):
            layer = layers.get(record.task, "")
            if record.latency >= best.get(layer, 0.0):
                continue
            best[layer] = record.latency
            total = sum(weights[layer] * seconds for layer, seconds in best.items())
            if isfinite(total):
                yield Point(number, record.finished, 1e3 * total)
