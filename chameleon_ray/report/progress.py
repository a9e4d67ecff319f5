"""The plain state of a run: tasks, records and phases in, every number that the views show out."""

import time
from collections.abc import Callable, Sequence
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


class Phase(NamedTuple):
    """A named part of the command and when it began, in seconds since the command did."""

    name: str
    began: float


@dataclass
class Layer:
    """One task's progress; latencies are seconds of one execution, infinite while unknown.

    Latencies are those of the device of the first success: on another device type they would not
    compare, so there a measurement only counts.
    """

    task: Task
    measurements: int = 0
    ok: int = 0
    default: float = inf
    best: float = inf
    device: str = ""
    in_flight: int = 0
    reason: str = ""
    """Why its search ended; empty while it has not."""
    steps: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    """When its latest measurement was finished."""

    def measured(self, record: Record) -> None:
        """Takes one record of this task."""
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
    def state(self) -> str:
        """``waiting``, ``searching``, or ``finished: `` and the reason."""
        if self.reason:
            return f"finished: {self.reason}"
        return "searching" if self.in_flight or self.measurements else "waiting"

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


class Progress:
    """What has happened so far; the engine tells it, views derive from it.

    Its clock starts when it is made. One thread tells; others may read at any time.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._start = now, now()
        self._listeners: list[Callable[[], None]] = []
        self.layers: dict[str, Layer] = {}
        self.wall_limit: float | None = None
        self.trial_limit: int | None = None
        self.devices = 1
        self.phases: list[Phase] = []
        self.notes: list[str] = []
        self.device_seconds = 0.0
        self.recorded = 0
        """Measurements of earlier sessions of the run."""
        self.plans = 0
        """Plans of which every configuration is through."""
        self._began = self._first = self._last = inf

    def began(
        self,
        tasks: Sequence[Task],
        wall_limit_seconds: float | None,
        trial_limit: int | None,
        recorded: Sequence[Record] = (),
        devices: int = 1,
    ) -> None:
        """The search begins.

        Args:
            tasks: What is tuned.
            wall_limit_seconds: Seconds since this object was made, after which the search ends.
            trial_limit: Measurements after which it ends, those of earlier sessions included.
            recorded: Records of earlier sessions, which count but not towards the rate.
            devices: How many time kernels at once.
        """
        self.layers = {task.digest: Layer(task) for task in tasks}
        self.wall_limit, self.trial_limit, self.devices = wall_limit_seconds, trial_limit, devices
        for record in recorded:
            self._take(record)
        self.recorded = self.measurements
        self._began = self.elapsed
        self._tell()

    def proposed(self, task: str, count: int) -> None:
        """A plan of ``count`` configurations of the task with this digest is on its way."""
        self.layers[task].in_flight += count
        self._tell()

    def measured(self, record: Record, timing_seconds: float = 0.0) -> None:
        """One configuration is through; the device executed it for ``timing_seconds``."""
        self._take(record)
        self.device_seconds += timing_seconds
        self._last = self.elapsed
        self._first = min(self._first, self._last)
        self._tell()

    def finished(self, task: str, reason: str) -> None:
        """The search of the task with this digest is over, and why."""
        self.layers[task].reason = reason or "done"
        self._tell()

    def phase(self, name: str) -> None:
        """Another part of the command begins."""
        self.phases.append(Phase(name, self.elapsed))
        self._tell()

    def note(self, sentence: str) -> None:
        """Something people should know."""
        self.notes.append(sentence)
        self._tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls ``listener`` after every change, on the thread that made it."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Ends a ``listen``."""
        self._listeners.remove(listener)

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return self._now() - self._start

    @property
    def measurements(self) -> int:
        return sum(layer.measurements for layer in self.layers.values())

    @property
    def failed(self) -> int:
        return sum(layer.failed for layer in self.layers.values())

    @property
    def rate(self) -> float | None:
        """Measurements a second since this session's first one; None before the second."""
        fresh, seconds = self.measurements - self.recorded - 1, self.elapsed - self._first
        return fresh / seconds if fresh > 0 and seconds > 0 else None

    @property
    def busy_fraction(self) -> float | None:
        """Share of the devices' time spent executing, from ``began`` to the last measurement."""
        seconds = self.devices * (self._last - self._began)
        return self.device_seconds / seconds if isfinite(seconds) and seconds > 0 else None

    @property
    def weighted(self) -> tuple[float, float]:
        """Weighted sums of default and best seconds, over the layers where both are known."""
        known = [layer for layer in self.layers.values() if layer.speedup is not None]
        if not known:
            return inf, inf
        default = sum(layer.task.weight * layer.default for layer in known)
        return default, sum(layer.weighted for layer in known)

    @property
    def unknown(self) -> int:
        """Layers that ``weighted`` leaves out."""
        return sum(layer.speedup is None for layer in self.layers.values())

    @property
    def shares(self) -> dict[str, float | None]:
        """Each task's share of the time of the layers with a known latency, at their best."""
        parts = shares([layer.weighted for layer in self.layers.values()])
        return dict(zip(self.layers, parts, strict=True))

    @property
    def left(self) -> float | None:
        """Seconds until the nearer limit; None where there is none or no rate yet."""
        lefts = []
        if self.wall_limit is not None:
            lefts.append(self.wall_limit - self.elapsed)
        if self.trial_limit is not None and self.rate:
            lefts.append((self.trial_limit - self.measurements) / self.rate)
        return max(0.0, min(lefts)) if lefts else None

    def _take(self, record: Record) -> None:
        layer = self.layers.get(record.task)
        if layer is None:  # a resumed run may hold records of layers the model no longer has
            return
        layer.in_flight = max(0, layer.in_flight - 1)
        layer.measured(record)
        self.plans += layer.in_flight == 0

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
