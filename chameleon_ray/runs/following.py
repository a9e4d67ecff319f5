"""Follows a run from the log that it writes: the same progress that its own command shows."""

import os
import time
from contextlib import suppress
from math import inf

from chameleon_ray.record import Record, Status
from chameleon_ray.report.layer_history import LayerHistory
from chameleon_ray.report.progress import Progress
from chameleon_ray.run_files import RunFiles
from chameleon_ray.runs.facts import Facts, events, opened
from chameleon_ray.runs.log_file import MOST_BYTES
from chameleon_ray.space import DesignSpace
from chameleon_ray.task import Task

CHUNK = 1 << 22
"""Most bytes of a log that are read at once."""
BACK = 1.0
"""Seconds by which a line may be older than the one before it in the same session."""


class Follower:
    """Reads the log of a run, or a zoo, as it grows; the directory is not changed.

    Attributes:
        progress: Progress of the last session in the log.
        records: What that session has measured so far; configurations and latencies only.
        last: Last event that was read.
    """

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._offset, self._number = 0, 0
        self._origin, self._over = time.time(), 0.0
        self._begin()

    def read(self) -> list[Facts]:
        """Takes what was added to the log since the last call, and returns its events.

        A line that is not whole yet is left for the next call; a file in the place of the one that
        was read is read from its beginning.
        """
        added = []
        while True:
            lines = self._added()
            for event in events(lines):
                self._take(event)
                added.append(event)
            if len(lines) < CHUNK // 2:
                return added

    def settle(self) -> None:
        """Stops the clock at the last event, as the session is over."""
        self._over = self.last.number("seconds") or 0.0

    def _begin(self) -> None:
        """Forgets the sessions that were read."""
        self._over = 0.0
        self.progress = Progress(self._now)
        self.records: list[Record] = []
        self.last = Facts({})
        self._over = inf

    def _now(self) -> float:
        """Returns the seconds since the session's command began; those of a line being read."""
        return min(self._over, time.time() - self._origin)

    def _added(self) -> bytes:
        with suppress(OSError), opened(self._files.log, MOST_BYTES) as log:
            found = os.fstat(log.fileno())
            if found.st_ino != self._number or found.st_size < self._offset:
                if self._number:
                    self._begin()
                self._number, self._offset = found.st_ino, 0
            log.seek(self._offset)
            read = log.read(CHUNK)
            whole = read[: read.rfind(b"\n") + 1]
            self._offset += len(whole)
            return whole
        return b""

    def _take(self, event: Facts) -> None:
        at, seconds = event.number("time"), event.number("seconds")
        if at is None or seconds is None:
            return
        earlier = self.last.number("seconds") or 0.0
        if seconds < earlier - BACK or self.last.text("event") == "ended":
            self._begin()
        self._origin, self._over, self.last = at - seconds, seconds, event
        with suppress(ValueError, KeyError, TypeError):  # it is not as this version writes it
            self._told(event.text("event"), event)
        self._over = inf

    def _told(self, kind: str, event: Facts) -> None:
        progress, task = self.progress, event.text("task")
        if kind == "phase":
            progress.phase(event.text("name"))
        elif kind == "note":
            progress.note(event.text("text"))
        elif kind == "began":
            self._began(event)
        elif kind == "proposed" and task in progress.layers:
            progress.proposed(task, int(event.number("count") or 0))
        elif kind == "measured":
            record = _record(event)
            self.records.append(record)
            progress.measured(record, event.number("timing_seconds") or 0.0)
        elif kind == "finished" and task in progress.layers:
            progress.finished(task, event.text("reason"))

    def _began(self, event: Facts) -> None:
        trials, histories = event.number("trial_limit"), list(map(_history, event.rows("layers")))
        self.progress.began(
            [history.task for history in histories],
            event.number("wall_limit_seconds"),
            None if trials is None else int(trials),
            devices=max(1, int(event.number("devices") or 1)),
        )
        for history in histories:
            self.progress.layers[history.task.digest].history = history
        self.progress.recorded = self.progress.measurements


def _history(layer: Facts) -> LayerHistory:
    """Returns what was known of a layer as the search began."""
    task = Task(
        layer.text("layer"),
        layer.text("task"),
        "",
        layer.number("weight") or 0.0,
        layer.number("flop") or 0.0,
        DesignSpace(()),
        shape=layer.text("shape"),
        lowering=layer.text("lowering"),
        instead=layer.text("instead"),
        nodes=layer.texts("nodes"),
        what=layer.text("what"),
    )
    return LayerHistory(
        task,
        measurements=int(layer.number("measurements") or 0),
        known=int(layer.number("known") or 0),
        ok=int(layer.number("ok") or 0),
        default=_seconds(layer.number("default_ms")),
        best=_seconds(layer.number("best_ms")),
    )


def _record(event: Facts) -> Record:
    """Returns a measurement as the log tells it.

    Raises:
        ValueError: It has a status of another version.
    """
    latency = event.number("latency_ms")
    return Record(
        event.text("task"),
        "",
        event.text("device"),
        event.configuration("config"),
        "{}",
        Status(event.text("status")),
        () if latency is None else (latency / 1e3,),
        plan=int(event.number("plan") or 0),
        sequence=int(event.number("sequence") or 0),
        finished=event.number("seconds") or 0.0,
    )


def _seconds(milliseconds: float | None) -> float:
    return inf if milliseconds is None else milliseconds / 1e3
