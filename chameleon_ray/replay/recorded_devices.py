"""A builder and a runner that answer from a table instead of a compiler and a device."""

import time

from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.options import Confirming
from chameleon_ray.record import Status
from chameleon_ray.replay.table import Table
from chameleon_ray.space import Config
from chameleon_ray.task import Task

BUILDING = (Status.INVALID, Status.BUILD_ERROR, Status.BUILD_TIMEOUT)
"""Statuses of measurements that end before there is anything to run."""


class ReplayBuilder:
    """Repeats the builds of a table; an artifact's code is the number of its row."""

    def __init__(self, table: Table, pace: float = 0.0) -> None:
        """Takes the table, and the share of the recorded seconds that a build is to take."""
        self.table, self.pace = table, pace

    def build(self, task: Task, config: Config) -> Artifact:
        """Builds one configuration; see ``Builder``. One that is not in the table is invalid."""
        row = self.table.row(config)
        if row is None:
            return Artifact(status=Status.INVALID, error="it is not in the table")
        status, seconds = self.table.status[row], float(self.table.build_seconds[row])
        if status in BUILDING:
            seconds = float(self.table.seconds[row])
            time.sleep(self.pace * seconds)
            return Artifact(status=status, seconds=seconds, error=self.table.error[row])
        time.sleep(self.pace * seconds)
        return Artifact(str(row).encode(), seconds=seconds)


class ReplayRunner:
    """Answers with the times of the table's device."""

    def __init__(self, table: Table, pace: float = 0.0) -> None:
        """Takes the table, and the share of the recorded seconds that a run is to take."""
        self.table, self.pace = table, pace

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``Runner``."""
        row = int(artifact.code)
        status, seconds = self.table.status[row], float(self.table.run_seconds[row])
        time.sleep(self.pace * seconds)
        return Timing(
            latencies=(self._latency(row),) if status is Status.OK else (),
            status=status,
            seconds=seconds,
            timing_seconds=seconds,
            device=self.table.device,
            error=self.table.error[row],
        )

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...]:
        """Compares artifacts; see ``Runner``. All recorded as working give right answers."""
        return tuple(
            Finalist((self._latency(int(artifact.code)),), 0.0, 0.0, True) for artifact in artifacts
        )

    def _latency(self, row: int) -> float:
        return float(self.table.latency[row])
