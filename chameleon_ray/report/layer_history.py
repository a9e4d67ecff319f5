"""The history of a layer's measurements: its latencies, failures and convergence curve."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import NamedTuple

from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.task import Task


class Point(NamedTuple):
    """One step of a convergence curve: the best latency after some measurements and seconds."""

    measurements: int
    seconds: float
    best_ms: float


@dataclass
class LayerHistory:
    """The measurements of one layer; latencies are seconds of one execution, infinite if unknown.

    Latencies are those of the device of the first success. On another type of device they would not
    compare, so a measurement there adds to the count only.
    """

    task: Task
    measurements: int = 0
    known: int = 0
    """Number of records that the run did not have to measure."""
    ok: int = 0
    default: float = inf
    best: float = inf
    device: str = ""
    steps: list[Point] = field(default_factory=list)
    """Every improvement of the best latency."""
    seconds: float = 0.0
    """Seconds from the beginning of the run to the end of the latest measurement."""

    @staticmethod
    def of(task: Task, records: Iterable[Record]) -> "LayerHistory":
        """Makes the history of a layer from its own records, in order."""
        history = LayerHistory(task)
        for record in records:
            history.add(record)
        return history

    def add(self, record: Record) -> None:
        """Takes the layer's next record."""
        self.measurements += not record.origin
        self.known += bool(record.origin)
        self.seconds = max(self.seconds, record.finished)
        if record.status is not Status.OK:
            return
        self.ok += not record.origin
        self.device = self.device or record.device
        if record.device != self.device:
            return
        if record.config == DEFAULT:
            self.default = min(self.default, record.latency)
        if record.latency < self.best:
            self.best = record.latency
            self.steps.append(Point(self.measurements, record.finished, 1e3 * record.latency))

    @property
    def failed(self) -> int:
        return self.measurements - self.ok

    @property
    def speedup(self) -> float | None:
        """Latency of the default schedule over the best one; None while either is unknown."""
        return ratio(self.default, self.best)

    @property
    def gflops(self) -> float | None:
        """Rate at the best latency in 10^9 operations a second; None where it is unknown or 0."""
        return gflops(self.task, self.best)

    @property
    def weighted(self) -> float:
        """Seconds that the model spends in this layer, at its best latency."""
        return self.task.weight * self.best

    @property
    def curve(self) -> list[Point]:
        """Every improvement, then the latest measurement; empty where nothing succeeded."""
        if not self.steps or self.steps[-1].measurements == self.measurements:
            return list(self.steps)
        return [*self.steps, Point(self.measurements, self.seconds, 1e3 * self.best)]


def gflops(task: Task, seconds: float) -> float | None:
    """Returns the rate of a layer in 10^9 operations a second.

    The rate is None where the latency is unknown or the layer has no operations.
    """
    known = task.flop > 0 and isfinite(seconds) and seconds > 0
    return task.flop / seconds / 1e9 if known else None


def ratio(before: float, after: float) -> float | None:
    """Returns the speed-up; None where a latency is unknown (infinite) or ``after`` is 0."""
    known = isfinite(before) and isfinite(after) and after > 0
    return before / after if known else None


def shares(seconds: list[float]) -> list[float | None]:
    """Returns each part's share of the sum of the known (finite) parts; None for an unknown one."""
    total = sum(part for part in seconds if isfinite(part)) or inf
    return [part / total if isfinite(part) else None for part in seconds]
