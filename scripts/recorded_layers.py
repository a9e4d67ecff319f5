"""Recorded layers: the tasks of a run over several tables, and a builder and a runner for them.

Builder and runner answer from the tables.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.options import Confirming
from chameleon_ray.replay.recorded_devices import ReplayBuilder, ReplayRunner
from chameleon_ray.replay.table import Table
from chameleon_ray.space import Config
from chameleon_ray.task import Task

TARGET = json.dumps({"kind": "replay"})
Tables = Mapping[str, Table]
"""By the digest of the task they were recorded of."""


def layers(tables: list[Table], copies: int) -> tuple[list[Task], dict[str, Table]]:
    """A task for every copy of every table, and its table by its digest."""
    tasks, by_digest = [], {}
    for number in range(copies):
        for table in tables:
            name = f"{table.name} {number}"
            digest = hashlib.sha256(name.encode()).hexdigest()[:16]
            tasks.append(Task(name, digest, TARGET, 1, 0.0, table.space, has_default=False))
            by_digest[digest] = table
    return tasks, by_digest


def paced(table: Table, build_seconds: float, run_seconds: float) -> Table:
    """The table, with every build and every run as long as is given."""
    builds, runs = (np.full(len(table), seconds) for seconds in (build_seconds, run_seconds))
    return replace(table, build_seconds=builds, run_seconds=runs)


class RecordedBuilder:
    """Builds what was built when the task's table was recorded."""

    def __init__(self, tables: Tables, pace: float) -> None:
        """Takes the share of the recorded seconds that a build is to take."""
        self._builders = {digest: ReplayBuilder(table, pace) for digest, table in tables.items()}

    def build(self, task: Task, config: Config) -> Artifact:
        """See ``Builder``."""
        return self._builders[task.digest].build(task, config)


class RecordedRunner:
    """Times as the device did that the task's table was recorded on."""

    def __init__(self, tables: Tables, pace: float) -> None:
        """Takes the share of the recorded seconds that a run is to take."""
        self._runners = {digest: ReplayRunner(table, pace) for digest, table in tables.items()}

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """See ``Runner``."""
        return self._runners[task.digest].run(task, artifact, best)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...]:
        """See ``Runner``."""
        return self._runners[task.digest].contest(task, artifacts, options)
