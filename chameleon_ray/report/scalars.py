"""A run's scalars for TensorBoard, as they come."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any

from chameleon_ray.errors import UserError
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.tuner import Tuner

FLUSH_SECONDS = 5
"""Most seconds until what is written can be seen."""


class ScalarsError(UserError):
    """Scalars cannot be written; the message says why and what to do."""


def demand(folder: str | None) -> None:
    """Checks that scalars can be written below a folder; nothing is checked where it is None.

    Raises:
        ScalarsError: They cannot.
    """
    if folder is None:
        return
    _writer()
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = f"--tensorboard cannot write to {folder}: {error.strerror}"
        raise ScalarsError(f"{told}; name another folder.") from error


class Scalars:
    """A watcher of the engine that writes scalars by the number of measurements.

    They are ``model/layers_ms``, the weighted sum once every layer has a latency, ``search/failed``
    and ``search/measurements_per_second``, and ``layers_ms/NAME`` for each layer.
    """

    def __init__(self, writer: Any, progress: Progress) -> None:
        self._writer, self._progress = writer, progress

    def proposed(self, task: str, count: int) -> None:
        """Takes no note of it."""

    def measured(self, record: Record, timing_seconds: float) -> None:
        """Takes no note of it: a plan is noted at its end."""

    def planned(self, tuner: Tuner) -> None:
        progress, layer = self._progress, tuner.task.layer
        own = [one.history.best for one in progress.layers.values() if one.task.layer == layer]
        self._add("search/failed", progress.failed)
        self._add("search/measurements_per_second", progress.rate)
        self._add(f"layers_ms/{progress.names[layer]}", 1e3 * min(own))
        if not progress.unknown:
            self._add("model/layers_ms", 1e3 * progress.weighted[1])

    def finished(self, task: str, reason: str) -> None:
        """Takes no note of it."""

    def _add(self, name: str, value: float | None) -> None:
        if value is not None and isfinite(value):
            with suppress(OSError):  # the disk is full; that ends no run
                self._writer.add_scalar(name, value, self._progress.measurements)


@contextmanager
def scalars(folder: str, run: str, progress: Progress) -> Iterator[Scalars]:
    """Provides the watcher, whose scalars are in a folder of the run's name."""
    writer = _writer()(str(Path(folder) / run), flush_secs=FLUSH_SECONDS)
    try:
        yield Scalars(writer, progress)
    finally:
        with suppress(OSError):
            writer.close()


def _writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        told = "--tensorboard needs the package tensorboardX"
        raise ScalarsError(f"{told}: pip install tensorboardX.") from error
    return SummaryWriter
