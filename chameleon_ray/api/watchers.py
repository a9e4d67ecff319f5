"""Watchers of the engine: one that keeps records and progress, and several as one."""

from contextlib import ExitStack
from dataclasses import dataclass

from chameleon_ray.engine import Watcher
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Request, Search
from chameleon_ray.record import Record
from chameleon_ray.report.events import EventLog
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.scalars import scalars
from chameleon_ray.tuner import Tuner


class Watchers:
    """Tells each of several watchers; the first, which keeps the records, before the others."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def proposed(self, task: str, count: int) -> None:
        for watcher in self._watchers:
            watcher.proposed(task, count)

    def measured(self, record: Record, timing_seconds: float) -> None:
        for watcher in self._watchers:
            watcher.measured(record, timing_seconds)

    def finished(self, task: str, reason: str) -> None:
        for watcher in self._watchers:
            watcher.finished(task, reason)

    def planned(self, tuner: Tuner) -> None:
        for watcher in self._watchers:
            watcher.planned(tuner)


def watchers_of(
    request: Request,
    search: Search,
    folder: RunFolder,
    progress: Progress,
    tuners: list[Tuner],
    stack: ExitStack,
) -> Watchers:
    """Makes the watchers: recorder, log, scalars, on Ray its metrics; ``stack`` closes them."""
    log = EventLog(folder.log, progress, [tuner.task for tuner in tuners])
    watchers: list[Watcher] = [Recorder(folder, search.explorer, progress)]
    watchers.append(stack.enter_context(log))
    if request.tensorboard is not None:
        kept = scalars(request.tensorboard, folder.path.resolve().name, progress)
        watchers.append(stack.enter_context(kept))
    if request.engine == "ray":
        from chameleon_ray.cluster.metrics import Metrics

        watchers.append(Metrics())
    return Watchers(*watchers)


@dataclass
class Recorder:
    """A watcher that keeps the records, the agents and the progress."""

    folder: RunFolder
    explorer: str
    progress: Progress

    def proposed(self, task: str, count: int) -> None:
        self.progress.proposed(task, count)

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.folder.database.append([record])
        self.progress.measured(record, timing_seconds)

    def planned(self, tuner: Tuner) -> None:
        self.folder.agents.save(self.explorer, tuner.task.digest, tuner.agent)

    def finished(self, task: str, reason: str) -> None:
        self.progress.finished(task, reason)
