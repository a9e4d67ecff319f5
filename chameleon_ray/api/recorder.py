"""The recorder: what the engine tells in, records and agents on disk and progress out."""

from dataclasses import dataclass

from chameleon_ray.folder import RunFolder
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.tuner import Tuner


@dataclass
class Recorder:
    """Keeps what the engine tells: records, agents, progress."""

    folder: RunFolder
    explorer: str
    progress: Progress

    def proposed(self, task: str, count: int) -> None:
        self.progress.proposed(task, count)

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.folder.database.append([record])
        self.progress.measured(record, timing_seconds)

    def planned(self, tuner: Tuner) -> None:
        self.folder.save_agent(self.explorer, tuner.task.digest, tuner.agent)

    def finished(self, task: str, reason: str) -> None:
        self.progress.finished(task, reason)
