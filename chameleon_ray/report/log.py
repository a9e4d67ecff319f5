"""A run's log for people: one short ASCII line now and then."""

from contextlib import suppress
from typing import IO

from chameleon_ray.printable import on_one_line
from chameleon_ray.report.format import clock, counted, digits, milliseconds, percent, times
from chameleon_ray.report.layer_history import ratio
from chameleon_ray.report.progress import Progress
from chameleon_ray.reporting import Reporting


class LogLines:
    """Writes to ``stream`` while entered: phases and notes at once, finished plans rarely."""

    def __init__(
        self, progress: Progress, stream: IO[str], options: Reporting | None = None
    ) -> None:
        self._progress, self._stream = progress, stream
        self._period = (options or Reporting()).log_seconds
        self._phases = self._notes = self._plans = self._measured = 0
        self._next = 0.0

    def __enter__(self) -> "LogLines":
        self._progress.listen(self._changed)
        self._changed()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.forget(self._changed)
        if self._progress.measurements > self._measured:
            self._write_progress()

    def _changed(self) -> None:
        for phase in self._progress.phases[self._phases :]:
            self._write(phase.name)
        for note in self._progress.notes[self._notes :]:
            self._write(note)
        self._phases, self._notes = len(self._progress.phases), len(self._progress.notes)
        if self._progress.plans > self._plans and self._progress.elapsed >= self._next:
            self._write_progress()

    def _write_progress(self) -> None:
        self._plans, self._measured = self._progress.plans, self._progress.measurements
        self._next = self._progress.elapsed + self._period
        self._write(f"{pace(self._progress)}, {gain(self._progress)}{left(self._progress)}")

    def _write(self, text: str) -> None:
        plain = on_one_line(text).encode("ascii", "backslashreplace").decode()
        with suppress(OSError, ValueError):  # a closed stream ends the log, not the run
            print(f"[{clock(self._progress.elapsed)}] {plain}", file=self._stream, flush=True)


def pace(progress: Progress) -> str:
    """Tells the number and the rate of the measurements, and how busy the device is."""
    limit = "" if progress.trial_limit is None else f" of {progress.trial_limit}"
    parts = [f"{progress.measurements}{limit} measured", f"{progress.failed} failed"]
    if progress.rate is not None:
        parts.append(f"{digits(progress.rate)} a second")
    if progress.busy_fraction is not None:
        parts.append(f"device {percent(progress.busy_fraction)} busy")
    return ", ".join(parts)


def gain(progress: Progress) -> str:
    """Tells the weighted sum of the layers' latencies at first and now."""
    default, now = progress.weighted
    unknown = f" ({counted(progress.unknown, 'layer')} unknown)" if progress.unknown else ""
    faster = times(ratio(default, now))
    return f"layers {milliseconds(default)} -> {milliseconds(now)} ms, {faster}{unknown}"


def left(progress: Progress) -> str:
    """Tells the time that remains, where it is known."""
    return "" if progress.left is None else f", {clock(progress.left)} left"
