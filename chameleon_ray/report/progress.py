"""The progress of a run: its tasks, records and phases, and the numbers that views show."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import NamedTuple

from chameleon_ray.layer_names import short_names
from chameleon_ray.lowerings import by_layer
from chameleon_ray.record import Record
from chameleon_ray.report.layer_history import LayerHistory, shares
from chameleon_ray.task import Task


class Phase(NamedTuple):
    """A named part of the command; it began ``began`` seconds after the command did."""

    name: str
    began: float


@dataclass
class LiveLayer:
    """One layer in the search: its measurements, those in flight, and whether it goes on."""

    history: LayerHistory
    in_flight: int = 0
    reason: str = ""
    """Reason for the end of the layer's search; empty while it goes on."""

    @property
    def task(self) -> Task:
        return self.history.task

    @property
    def state(self) -> str:
        """State of the search: ``waiting``, ``searching``, or ``finished: `` and the reason."""
        if self.reason:
            return f"finished: {self.reason}"
        return "searching" if self.in_flight or self.history.measurements else "waiting"


class Progress:
    """The progress of a run; the engine reports to it, and views read it.

    Its clock starts when it is made. One thread reports; others may read at any time.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._start = now, now()
        self._listeners: list[Callable[[], None]] = []
        self.layers: dict[str, LiveLayer] = {}
        self.names: dict[str, str] = {}
        """A short name of each layer, by ``Task.layer``."""
        self.wall_limit: float | None = None
        self.trial_limit: int | None = None
        self.devices = 1
        self.phases: list[Phase] = []
        self.notes: list[str] = []
        self.device_seconds = 0.0
        self.recorded = 0
        """Number of measurements of earlier sessions of the run."""
        self.whole_limit: float | None = None
        """Seconds that the whole command may take; None without a limit."""
        self.closing = 0.0
        """Seconds that everything after the search is expected to take."""
        self.compares = False
        """Whether models are compared with other frameworks at the end."""
        self.plans = 0
        """Number of plans of which every configuration was measured."""
        self._began = self._first = self._last = inf

    def began(
        self,
        tasks: Sequence[Task],
        wall_limit_seconds: float | None,
        trial_limit: int | None,
        recorded: Sequence[Record] = (),
        devices: int = 1,
    ) -> None:
        """Takes note that the search begins.

        Args:
            tasks: Tasks that are tuned.
            wall_limit_seconds: Seconds since this object was made, after which the search ends.
            trial_limit: Measurements after which it ends, those of earlier sessions included.
            recorded: Records of earlier sessions; they count, but not towards the rate.
            devices: Number of devices that time kernels at once.
        """
        self.layers = {task.digest: LiveLayer(LayerHistory(task)) for task in tasks}
        self.names = short_names(tasks)
        self.wall_limit, self.trial_limit, self.devices = wall_limit_seconds, trial_limit, devices
        for record in recorded:
            self._take(record)
        self.recorded = self.measurements
        self._began = self.elapsed
        self._tell()

    def proposed(self, task: str, count: int) -> None:
        """Takes note of ``count`` configurations that are to be measured for a task, by digest."""
        self.layers[task].in_flight += count
        self._tell()

    def measured(self, record: Record, timing_seconds: float = 0.0) -> None:
        """Takes a new record, whose configuration the device executed for ``timing_seconds``."""
        self._take(record)
        self.device_seconds += timing_seconds
        self._last = self.elapsed
        self._first = min(self._first, self._last)
        self._tell()

    def finished(self, task: str, reason: str) -> None:
        """Takes note why the search of the task with this digest is over."""
        self.layers[task].reason = reason or "done"
        self._tell()

    def phase(self, name: str) -> None:
        """Begins another part of the command."""
        self.phases.append(Phase(name, self.elapsed))
        self._tell()

    def note(self, sentence: str) -> None:
        """Adds a sentence that people should know."""
        self.notes.append(sentence)
        self._tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls ``listener`` after every change, on the thread that made it."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Ends the calls of ``listener``."""
        self._listeners.remove(listener)

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return self._now() - self._start

    @property
    def measurements(self) -> int:
        return sum(layer.history.measurements for layer in self.layers.values())

    @property
    def failed(self) -> int:
        return sum(layer.history.failed for layer in self.layers.values())

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
    def fastest(self) -> list[LiveLayer]:
        """Each layer once: its fastest lowering so far, with what is in flight of any.

        The default latency is that of the first lowering.
        """
        rows = []
        for lowerings in by_layer(self.layers.values(), lambda layer: layer.task).values():
            best = min(lowerings, key=lambda layer: layer.history.best)
            history = replace(best.history, default=lowerings[0].history.default)
            in_flight = sum(layer.in_flight for layer in lowerings)
            rows.append(replace(best, history=history, in_flight=in_flight))
        return rows

    @property
    def weighted(self) -> tuple[float, float]:
        """Weighted sums of default and best seconds, over the layers where both are known."""
        known = [layer.history for layer in self.fastest if layer.history.speedup is not None]
        if not known:
            return inf, inf
        default = sum(history.task.weight * history.default for history in known)
        return default, sum(history.weighted for history in known)

    @property
    def unknown(self) -> int:
        """Number of layers that ``weighted`` leaves out."""
        return sum(layer.history.speedup is None for layer in self.fastest)

    @property
    def shares(self) -> dict[str, float | None]:
        """Each task's share of the time of the layers with a known latency, at their best."""
        rows = self.fastest
        parts = shares([layer.history.weighted for layer in rows])
        return dict(zip((layer.task.digest for layer in rows), parts, strict=True))

    @property
    def left(self) -> float | None:
        """Seconds until the nearer limit; None where there is none or no rate yet."""
        lefts = []
        if self.wall_limit is not None:
            lefts.append(self.wall_limit - self.elapsed)
        if self.trial_limit is not None and self.rate:
            lefts.append((self.trial_limit - self.measurements) / self.rate)
        return max(0.0, min(lefts)) if lefts else None

    @property
    def whole_left(self) -> float | None:
        """Seconds until the command's end; below 0 after its limit, None where it is not known."""
        if self.whole_limit is not None:
            return self.whole_limit - self.elapsed
        searched = self.trial_limit is not None and self.measurements >= self.trial_limit
        return None if self.left is None or searched else self.left + self.closing

    @property
    def share(self) -> float | None:
        """Share of the command's time that has gone by; None where its end is not known."""
        left = self.whole_left
        return None if left is None else self.elapsed / max(self.elapsed + max(left, 0.0), 1e-9)

    def _take(self, record: Record) -> None:
        layer = self.layers.get(record.task)
        if layer is None:  # a resumed run may hold records of layers the model no longer has
            return
        layer.in_flight = max(0, layer.in_flight - 1)
        layer.history.add(record)
        self.plans += layer.in_flight == 0

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
