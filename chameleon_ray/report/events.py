"""A run's log for programs, in JSON lines."""

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import IO, Literal

from chameleon_ray.layer_names import title
from chameleon_ray.record import Record
from chameleon_ray.report.layer_history import LayerHistory
from chameleon_ray.report.progress import Progress
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner

Outcome = Literal["done", "stopped", "error"]
"""How a command may end."""


class EventLog:
    """A watcher of the engine that appends a line per event to a file, as it happens.

    Every line has ``event``, ``time`` (seconds since 1970) and ``seconds`` (since the command
    began); docs/reference/run-directory.md describes the other fields. A line that cannot be
    written is left out.
    """

    def __init__(self, path: Path, progress: Progress, tasks: Sequence[Task]) -> None:
        self._names = {task.digest: task.name for task in tasks}
        self._progress = progress
        self._phases = self._notes = 0
        self._layers = progress.layers
        self._file: IO[str] | None = None
        with suppress(OSError):
            self._file = os.fdopen(_appending(path), "a", encoding="utf-8", buffering=1)

    def __enter__(self) -> "EventLog":
        self._progress.listen(self._told)
        self._told()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.forget(self._told)
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def proposed(self, task: str, count: int) -> None:
        self._write("proposed", task=task, layer=self._names.get(task, ""), count=count)

    def measured(self, record: Record, timing_seconds: float) -> None:
        self._write(
            "measured",
            task=record.task,
            layer=self._names.get(record.task, ""),
            plan=record.plan,
            sequence=record.sequence,
            config=list(record.config),
            status=record.status.value,
            latency_ms=_milliseconds(record.latency),
            device=record.device,
            explore_seconds=record.explore_seconds,
            build_seconds=record.build_seconds,
            run_seconds=record.run_seconds,
            timing_seconds=timing_seconds,
            error=record.error,
        )

    def planned(self, tuner: Tuner) -> None:
        self._write(
            "planned",
            task=tuner.task.digest,
            layer=tuner.task.name,
            plan=tuner.plan - 1,
            measurements=len(tuner.records),
            best_ms=_milliseconds(tuner.best_latency),
        )

    def finished(self, task: str, reason: str) -> None:
        self._write("finished", task=task, layer=self._names.get(task, ""), reason=reason)

    def ended(self, outcome: Outcome, text: str) -> None:
        """Tells how the command ended."""
        self._write("ended", outcome=outcome, text=text)

    def _told(self) -> None:
        phases, notes = self._progress.phases, self._progress.notes
        for phase in phases[self._phases :]:
            self._write("phase", phase.began, name=phase.name)
        for note in notes[self._notes :]:
            self._write("note", text=note)
        self._phases, self._notes = len(phases), len(notes)
        if self._progress.layers is not self._layers:
            self._layers = self._progress.layers
            self._began()

    def _began(self) -> None:
        self._write(
            "began",
            wall_limit_seconds=self._progress.wall_limit,
            trial_limit=self._progress.trial_limit,
            devices=self._progress.devices,
            layers=[_layer(layer.history) for layer in self._layers.values()],
        )

    def _write(self, event: str, seconds: float | None = None, **fields: object) -> None:
        """Writes one line, timed now or ``seconds`` after the command began."""
        if self._file is None:
            return
        now = self._progress.elapsed
        seconds = now if seconds is None else seconds
        moment = {"event": event, "time": time.time() + seconds - now, "seconds": seconds}
        with suppress(OSError):
            self._file.write(json.dumps(moment | fields, allow_nan=False) + "\n")


def _appending(path: Path) -> int:
    """Opens a file to append to, unless it is a link."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _layer(history: LayerHistory) -> dict[str, object]:
    """Returns what is known of a layer as its search begins."""
    task = history.task
    return {
        "task": task.digest,
        "layer": task.name,
        "title": title(task),
        "nodes": list(task.nodes),
        "what": task.what,
        "shape": task.shape,
        "weight": task.weight,
        "flop": task.flop,
        "lowering": task.lowering,
        "instead": task.instead,
        "measurements": history.measurements,
        "known": history.known,
        "ok": history.ok,
        "default_ms": _milliseconds(history.default),
        "best_ms": _milliseconds(history.best),
    }


def _milliseconds(seconds: float) -> float | None:
    return 1e3 * seconds if isfinite(seconds) else None
