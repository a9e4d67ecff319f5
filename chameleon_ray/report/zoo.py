"""Reports a tuned zoo: figures for programs and sentences for people, from one result per model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, inf, isfinite, log
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chameleon_ray.merging import Merged
from chameleon_ray.options import Request
from chameleon_ray.presets import PRESETS
from chameleon_ray.record import Record, Status, own
from chameleon_ray.report import buckets
from chameleon_ray.report.columns import Column, text_table
from chameleon_ray.report.format import UNKNOWN, clock, counted, milliseconds, percent, times
from chameleon_ray.report.layer_history import Point
from chameleon_ray.report.result import Latency, RunResult
from chameleon_ray.report.zoo_comparison import frameworks, latency, means
from chameleon_ray.report.zoo_comparison import told as compared
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
        verified = self.result.verified
        if verified is None or not verified.ok:
            fault = f" from those of {verified.against} ({verified.fault})" if verified else ""
            return (
                f"The tuned model's outputs differ{fault}; do not use {self.folder / 'model.so'}."
            )
        return ""

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


SHARED_COLUMNS: tuple[Column[ZooEntry], ...] = (
    Column("layers", "number", lambda entry: str(entry.layers) if entry.layers else UNKNOWN),
    Column("shared", "number", lambda entry: str(entry.shared) if entry.layers else UNKNOWN),
    Column("untuned ms", "number", lambda entry: _milliseconds(entry.latencies[0])),
    Column("tuned ms", "number", lambda entry: _milliseconds(entry.latencies[1])),
    Column("faster", "number", lambda entry: times(entry.speedup)),
)
"""Columns that the table of models has on a terminal and on the page."""


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


def final_message(result: ZooResult) -> RenderableType:
    """Returns the message at the end of a zoo: a row per model, shared layers, and files."""
    return Group("", table(result.entries), *map(Text, [*sentences(result), *result.buckets]))


def table(entries: Sequence[ZooEntry]) -> Table:
    """Makes a table with a row per model."""
    name = Column[ZooEntry]("model", "text", lambda entry: entry.name)
    others = framework_columns(entries)
    columns = (name, *SHARED_COLUMNS, *others, Column("outputs", "text", outputs))
    return text_table(columns, entries)


def framework_columns(entries: Sequence[ZooEntry]) -> list[Column[ZooEntry]]:
    """Returns a column of latencies for each framework that ran any of the models."""
    return [
        Column[ZooEntry](f"{title} ms", "number", partial(_in_framework, title))
        for title in frameworks([entry.result for entry in entries])
    ]


def _in_framework(name: str, entry: ZooEntry) -> str:
    return latency(entry.result, name)


def merging(layers: Merged) -> str:
    """Tells the number of layers, before and after merging."""
    return f"{layers.before} layers, {len(layers.distinct)} after merging equal ones"


def outputs(entry: ZooEntry) -> str:
    """Tells in few words whether a model's outputs are the original's."""
    if entry.failure:
        return "failed"
    if entry.result is None or entry.result.verified is None:
        return UNKNOWN
    verified = entry.result.verified
    if verified.outcome == "unverified":
        return "not verified"
    return f"{'as' if verified.ok else 'NOT as'} {verified.against}'s"


def sentences(result: ZooResult) -> list[str]:
    """Returns sentences about all models together."""
    mine = own(result.records)
    failed = sum(record.status is not Status.OK for record in mine)
    made = counted(len(mine), "measurement")
    return [
        f"{merging(result.merged)}; {result.taught} began with what layers of the same "
        "operators had taught.",
        f"{made} ({failed} failed) in {clock(result.wall_seconds)}, device "
        f"{percent(result.device_busy_fraction)} busy; {counted(result.saved, 'measurement')} "
        "saved by merging.",
        f"On {result.device}. {compared(means(result.results))}",
        f"Files: {result.folder}/report.html, {result.folder}/summary.json; run directories in "
        f"{result.folder}/models.",
    ]


def _milliseconds(latency: Latency | None) -> str:
    return milliseconds(latency.seconds) if latency else UNKNOWN
