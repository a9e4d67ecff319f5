"""The result of a run: everything that the summary and the reports are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from statistics import median, quantiles

from chameleon_ray.ledger import Account
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.layer_history import LayerHistory, Point, ratio
from chameleon_ray.space import Config
from chameleon_ray.task import Task

PHASES = ("import", "extract", "explore", "sample", "fit", "build", "run", "apply", "verify")


@dataclass(frozen=True)
class Latency:
    """Seconds of one execution of the whole model: the median and the interquartile range."""

    seconds: float
    spread: float = 0.0

    @staticmethod
    def of(repeats: Sequence[float]) -> "Latency":
        """From the timings themselves; at least one."""
        several = len(repeats) > 1
        low, _, high = quantiles(repeats, n=4, method="inclusive") if several else (0.0, 0.0, 0.0)
        return Latency(median(repeats), high - low)


@dataclass(frozen=True)
class Verified:
    """The tuned model's outputs beside those of ``against``; the largest errors of all outputs."""

    ok: bool
    max_abs_err: float
    max_rel_err: float
    against: str = "untuned TVM"


@dataclass(frozen=True)
class LayerOutcome:
    """What was chosen for one task at the end.

    Attributes:
        task: Its digest.
        config: The winner; empty where the default schedule was kept.
        default: Confirmed seconds of the default schedule; infinite where not confirmed.
        best: Confirmed seconds of the winner; infinite where not confirmed.
        reason: Why the default was kept, or why the search ended; may be empty.
    """

    task: str
    config: Config = DEFAULT
    default: float = inf
    best: float = inf
    reason: str = ""


@dataclass(frozen=True)
class RunResult:
    """All that came of a run.

    Attributes:
        model: As the user named it.
        target: TVM target.
        device: What it was timed on.
        seed: Of the whole run.
        preset: Its search system; ``explorer`` and ``sampler`` are the parts of it.
        wall_seconds: From the command's start to its end.
        seconds: By phase, summed over processes; see ``PHASES``.
        device_busy_fraction: Of the devices' wall time, what they timed kernels in, in the search.
        tasks: The model's layers.
        records: Every measurement of every session.
        outcomes: One per task where the search came to its end.
        processes: Of this session.
        untuned: The whole model with default schedules; None where it was not timed.
        tuned: The whole model with the winners.
        verified: None where the outputs were not compared.
        inputs: Name, shape and dtype of the model's inputs.
        explanation: Why model and layers disagree, where whoever compiled it knows.
        folder: The run directory.
        settings: Options as the user would give them.
        versions: Of the packages that matter.
    """

    model: str
    target: str
    device: str
    seed: int
    preset: str
    explorer: str
    sampler: str
    wall_seconds: float
    seconds: Mapping[str, float]
    device_busy_fraction: float | None
    tasks: tuple[Task, ...]
    records: tuple[Record, ...]
    outcomes: tuple[LayerOutcome, ...] = ()
    processes: tuple[Account, ...] = ()
    untuned: Latency | None = None
    tuned: Latency | None = None
    verified: Verified | None = None
    inputs: tuple[tuple[str, tuple[int, ...], str], ...] = ()
    explanation: str = ""
    folder: Path = Path()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def speedup(self) -> float | None:
        """Untuned against tuned model; None while either is unknown."""
        if self.untuned is None or self.tuned is None:
            return None
        return ratio(self.untuned.seconds, self.tuned.seconds)

    @cached_property
    def layers(self) -> tuple["LayerResult", ...]:
        """Every layer at the end, in the model's order."""
        own: dict[str, list[Record]] = {task.digest: [] for task in self.tasks}
        for record in self.records:
            if record.task in own:  # a resumed run may have some of layers that are gone
                own[record.task].append(record)
        outcomes = {outcome.task: outcome for outcome in self.outcomes}
        return tuple(
            LayerResult.of(task, own[task.digest], outcomes.get(task.digest)) for task in self.tasks
        )


@dataclass(frozen=True)
class LayerResult:
    """One layer at the end; latencies in seconds of one execution, infinite where unknown.

    Latencies that were confirmed go before those of the search; the curve is the search's own.
    """

    task: Task
    measurements: int
    failed: int
    default: float
    best: float
    curve: list[Point]
    kept_default: bool
    reason: str
    values: str
    """The winner's knobs by name, as JSON; empty for the default schedule."""

    @staticmethod
    def of(task: Task, records: Sequence[Record], outcome: LayerOutcome | None) -> "LayerResult":
        """From the layer's own records and what was chosen for it, if the search came to its end.

        Where the default was kept it is also the layer's best.
        """
        history, end = LayerHistory.of(task, records), outcome or LayerOutcome(task.digest)
        kept = outcome is not None and end.config == DEFAULT
        default = end.default if isfinite(end.default) else history.default
        best = end.best if isfinite(end.best) else history.best
        values = [record.values for record in records if record.config == end.config]
        return LayerResult(
            task=task,
            measurements=history.measurements,
            failed=history.failed,
            default=default,
            best=default if kept else best,
            curve=history.curve,
            kept_default=kept,
            reason=end.reason,
            values="" if kept or not values else values[-1],
        )

    @property
    def speedup(self) -> float | None:
        return ratio(self.default, self.best)


def total(rows: Sequence[LayerResult], latencies: Sequence[float]) -> float:
    """Weighted sum of the known ones of the layers' latencies; infinite where none is known."""
    pairs = zip(rows, latencies, strict=True)
    known = [row.task.weight * latency for row, latency in pairs if isfinite(latency)]
    return sum(known) if known else inf
