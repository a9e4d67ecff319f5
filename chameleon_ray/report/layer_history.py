"""What was measured of one layer, in order: its latencies, its failures and its curve."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import NamedTuple

from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.task import Task


class Point(NamedTuple):
    """One step of a convergence curve: after so many measurements and seconds, the best so far."""

    measurements: int
    seconds: float
    best_ms: float


@dataclass
class LayerHistory:
    """The measurements of one layer; latencies are seconds of one execution, infinite if unknown.

    Latencies are those of the device of the first success: on another device type they would not
    compare, so there a measurement only counts.
    """

    task: Task
    measurements: int = 0
    ok: int = 0
    default: float = inf
    best: float = inf
    device: str = ""
    steps: list[Point] = field(default_factory=list)
    """Every improvement."""
    seconds: float = 0.0
    """When the latest measurement was finished."""

    @staticmethod
    def of(task: Task, records: Iterable[Record]) -> "LayerHistory":
        """From the layer's own records, in order."""
        history = LayerHistory(task)
        for record in records:
            history.add(record)
        return history

    def add(self, record: Record) -> None:
        """Takes the layer's next record."""
        self.measurements += 1
        self.seconds = max(self.seconds, record.finished)
        if record.status is not Status.OK:
            return
        self.ok += 1
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
        """Best against default; None while either is unknown."""
        return ratio(self.default, self.best)

    @property
    def gflops(self) -> float | None:
        """10^9 operations a second at the best latency; None where unknown or without any."""
        return gflops(self.task, self.best)

    @property
    def weighted(self) -> float:
        """Seconds the model spends in this layer, at its best latency."""
        return self.task.weight * self.best

    @property
    def curve(self) -> list[Point]:
        """Every improvement, then the latest measurement; empty where nothing succeeded."""
        if not self.steps or self.steps[-1].measurements == self.measurements:
            return list(self.steps)
        return [*self.steps, Point(self.measurements, self.seconds, 1e3 * self.best)]


def gflops(task: Task, seconds: float) -> float | None:
    """10^9 operations a second of a layer; None where the latency is unknown or it has none."""
    known = task.flop > 0 and isfinite(seconds) and seconds > 0
    return task.flop / seconds / 1e9 if known else None


def ratio(before: float, after: float) -> float | None:
    """How many times faster; None where either is unknown (infinite) or nothing."""
    known = isfinite(before) and isfinite(after) and after > 0
    return before / after if known else None


def shares(seconds: list[float]) -> list[float | None]:
    """Each part's share of the sum of the known (finite) ones; None for an unknown one."""
    total = sum(part for part in seconds if isfinite(part)) or inf
    return [part / total if isfinite(part) else None for part in seconds]
