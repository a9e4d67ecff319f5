"""Records a part of a layer's design space on a simulated GPU, by the clock that is a formula.

    PYTHONPATH=.:scripts python -m tests.gpu.record_formula LAYER --kept N... --out FOLDER
        [--seconds N]

LAYER is one of ``scripts/measure_tensor_core.py``. The part is a grid: of every knob so many
choices as ``--kept`` says, around the fastest of a few random configurations, in all combinations
that the space's limits leave. They are built and timed in random order. What is in FOLDER already
is left out, so the same command goes on. Only two blocks of a kernel run, so its outputs are not
computed. The latencies are those of ``simulator/clock.cpp``, which is no GPU.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from measure_tensor_core import LAYERS, task_of
from record_space import around, connected

from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.database import Database
from chameleon_ray.measure.measurer import Artifact, Timing
from chameleon_ray.options import Measuring
from chameleon_ray.record import Record, Status
from chameleon_ray.space import Config, as_configs, distinct
from chameleon_ray.task import Task
from tests.gpu.conftest import Builders, simulated

DEVICE = "simulated H100: latencies of a formula, not measured"
ONCE = Measuring(
    repeats=1,
    shots=1,
    wake_seconds=0.0,
    long_seconds=float("inf"),
    hopeless=float("inf"),
    slower=0.0,
    gpu_build_timeout=120.0,
    run_timeout=120.0,
)
"""The formula always says the same, so it is asked once, and never the host's clock."""
TRIALS = 12
"""Random configurations of the whole space, before the grid."""
BATCH = 16
"""Records written at once."""


class Recorder:
    """Builds and times configurations of a task, and keeps what came of them."""

    def __init__(self, task: Task, deadline: float) -> None:
        self.task, self.deadline = task, deadline
        self.builders, self.runner = Builders(ONCE), CudaRunner(ONCE)

    def record(self, configs: Sequence[Config], database: Database) -> bool:
        """Records what has no record yet; returns whether time was left for all of it."""
        known = {record.config for record in database.read()}
        left = [config for config in configs if config not in known]
        for start in range(0, len(left), BATCH):
            if time.monotonic() > self.deadline:
                return False
            batch = left[start : start + BATCH]
            built = zip(batch, self.builders.ahead(self.task, batch), strict=True)
            database.append(
                [self.one(*pair, len(known) + start + n) for n, pair in enumerate(built)]
            )
        return True

    def one(self, config: Config, artifact: Artifact, sequence: int) -> Record:
        """The record of one configuration that was built."""
        timing = Timing(status=artifact.status)
        if artifact.status is Status.OK:
            timing = self.runner.run(self.task, artifact, float("inf"))
        return Record(
            task=self.task.digest,
            target=self.task.target,
            device=DEVICE,
            config=config,
            values=json.dumps(self.task.space.values(config)),
            status=timing.status,
            latencies=timing.latencies[:1],
            build_seconds=round(artifact.seconds, 4),
            run_seconds=round(timing.seconds, 4),
            error=artifact.error or timing.error,
            sequence=sequence,
        )

    def close(self) -> None:
        self.builders.close()
        self.runner.close()


def grid(task: Task, start: Config, kept: Sequence[int]) -> list[Config]:
    """Configurations around one, in random order."""
    rng = np.random.default_rng(0)
    found = around(task.space, start, kept, partial(connected, rng=rng))
    whole = np.array([found.whole(config) for config in as_configs(found.space.enumerate())])
    return as_configs(rng.permutation(whole[task.space.valid(whole)]))


def main() -> None:
    """Goes on with one layer for some seconds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("layer", choices=LAYERS)
    parser.add_argument("--kept", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    os.environ.update(simulated(clock="sample"))
    task = task_of(arguments.layer, "sm_90", "float16")
    recorder = Recorder(task, time.monotonic() + arguments.seconds)
    trials, database = Database(arguments.out / "trials"), Database(arguments.out / "grid")
    try:
        drawn = as_configs(distinct(task.space.random(np.random.default_rng(0), TRIALS)))
        if recorder.record(drawn, trials):
            start = min(trials.read(), key=lambda record: record.latency).config
            configs = grid(task, start, arguments.kept)
            done = recorder.record(configs, database)
            print(f"{len(database.read())} of {len(configs)} recorded, {done=}")
    finally:
        recorder.close()


if __name__ == "__main__":
    main()
