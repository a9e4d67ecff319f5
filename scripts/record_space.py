"""Measures a small design space of a network's layer exhaustively, into a Parquet file.

    python scripts/record_space.py LAYER... [--work FOLDER] [--out FOLDER]

A layer's own space has millions of configurations. A grid of it is measured: around the fastest of
a few random configurations, each knob with a few random choices that moves connect. Every
configuration of the grid is built and timed, in random order; then the fastest tenth, the slowest
and what failed are timed once more. A latency is the least of its repeats, as other programs on the
machine only ever add to it. What was measured is kept under ``--work``: an interrupted run goes on.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import LLVM, kind_of, resolve
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.compiler.target import device_name
from chameleon_ray.database import SCHEMA, Database
from chameleon_ray.knob import Knob
from chameleon_ray.measure.cores import available, split
from chameleon_ray.measure.measurer import Artifact, Timing
from chameleon_ray.options import Measuring
from chameleon_ray.record import Record, Status
from chameleon_ray.space import Config, DesignSpace, as_configs, distinct
from chameleon_ray.task import Task

Pick = Callable[[Knob, int, int], list[int]]
"""A knob, one of its choices and a count in, the numbers of so many choices out."""
KEPT = (1, 3, 4, 6, 1, 1, 3, 2, 1)
"""Choices kept of a convolution's knobs: sketch, tilings of rows, columns, filters, kernel rows,
kernel columns and channels, unrolling, place of the last stage."""
TRIALS = 24
"""Random configurations of the whole space; the fastest is in the grid."""
AGAIN = 0.1
"""Share of the grid, the fastest, that is timed once more."""
BATCH = 16
"""Records written at once."""
MEASURING = Measuring(
    repeats=8,
    repeat_seconds=0.002,
    hopeless=20.0,
    long_seconds=0.05,
    build_timeout=10.0,
    load_timeout=10.0,
    run_timeout=20.0,
)
"""Many short repeats, one of them likely undisturbed, and patience with a busy machine."""


@dataclass(frozen=True)
class Conv:
    """A square convolution, then ReLU: channels, pixels, filters, kernel, stride, padding."""

    channels: int
    size: int
    filters: int
    kernel: int
    stride: int
    padding: int


LAYERS = {
    "alexnet-1": Conv(128, 13, 128, 3, 1, 1),
    "alexnet-4": Conv(16, 27, 96, 5, 1, 2),
    "vgg-1": Conv(128, 14, 128, 3, 1, 1),
    "vgg-2": Conv(32, 28, 128, 3, 1, 1),
    "vgg-4": Conv(32, 56, 32, 3, 1, 1),
    "resnet-6": Conv(64, 28, 128, 3, 2, 1),
    "resnet-9": Conv(32, 56, 64, 3, 2, 1),
    "resnet-11": Conv(64, 28, 64, 3, 1, 1),
}
"""The layers of Chameleon's Table 5, made smaller; tests/data/README.md says how."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A part of a task's space that is a product of choices.

    Attributes:
        space: The knobs with more than one choice left.
        kept: Of every knob of the task, the numbers of the choices left, ascending.
    """

    space: DesignSpace
    kept: tuple[tuple[int, ...], ...]

    def whole(self, config: Config) -> Config:
        """A configuration of the grid as one of the task."""
        rest = iter(config)
        return tuple(kept[next(rest) if len(kept) > 1 else 0] for kept in self.kept)


def main() -> None:
    """Measures the layers asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("layers", nargs="+", choices=LAYERS, metavar="LAYER", help=f"{[*LAYERS]}")
    parser.add_argument("--work", type=Path, default=Path("runs/spaces"), help="unfinished records")
    parser.add_argument("--out", type=Path, default=Path("tests/data"), help="finished records")
    arguments = parser.parse_args()
    search_cores, timing_cores = split(available(), None)
    os.sched_setaffinity(0, search_cores)  # as the engine does, before any child
    with ExitStack() as stack:
        recorder = Recorder(search_cores, timing_cores, stack)
        for name in arguments.layers:
            task = one_layer(LAYERS[name], resolve("llvm", len(timing_cores)))
            records = recorder.record(task, arguments.work / name)
            write(records, arguments.out / f"{name}.parquet")
            best = min(record.latency for record in records)
            print(f"{name}: {len(records)} configurations, fastest {1e3 * best:.3f} ms", flush=True)


def one_layer(conv: Conv, target: str, layout: str = "auto") -> Task:
    """The convolution as the extraction from a torch model of this one layer gives it."""
    import torch
    import tvm
    from torch import nn
    from tvm.relax.frontend.torch import from_exported_program

    from chameleon_ray.compiler.passes.lower import lower
    from chameleon_ray.compiler.spaces.extract import extract

    sizes = conv.channels, conv.filters, conv.kernel, conv.stride, conv.padding
    picture = torch.zeros(1, conv.channels, conv.size, conv.size)
    program = torch.export.export(nn.Sequential(nn.Conv2d(*sizes), nn.ReLU()).eval(), (picture,))
    machine, kind = tvm.target.Target(json.loads(target)), kind_of(target)
    module = lower(from_exported_program(program), machine, kind, layout)
    return max(extract(module, target, kind), key=lambda task: task.flop)


class Recorder:
    """Builds on some cores, times on others, and keeps what came of it."""

    def __init__(
        self, search_cores: tuple[int, ...], timing_cores: tuple[int, ...], stack: ExitStack
    ) -> None:
        self.device = device_name(len(timing_cores))
        self.builder = ChildBuilder(LLVM, MEASURING, search_cores)
        self.runner = CpuRunner(LLVM, MEASURING, timing_cores, self.device)
        stack.callback(self.builder.close)
        stack.callback(self.runner.close)

    def record(self, task: Task, folder: Path) -> list[Record]:
        """The records of a task's grid, in order of their configurations."""
        rng = np.random.default_rng(0)
        trials = Database(folder / "trials")
        whole = Grid(task.space, tuple(tuple(range(len(knob))) for knob in task.space.knobs))
        self.measure(task, whole, as_configs(distinct(task.space.random(rng, TRIALS))), trials, 0)
        fastest = min(trials.read(), key=lambda record: record.latency)
        grid = around(task.space, fastest.config, KEPT, partial(connected, rng=rng))
        database = Database(folder / "grid")
        self.measure(task, grid, as_configs(rng.permutation(grid.space.enumerate())), database, 0)
        self.measure(task, grid, doubtful(database.read()), database, 1)
        return sorted(database.read(), key=lambda record: record.config)

    def measure(
        self, task: Task, grid: Grid, configs: Sequence[Config], database: Database, turn: int
    ) -> None:
        """Measures what has no record of this turn yet; of two turns the faster one is kept."""
        known = {record.config: record for record in database.read()}
        left = [config for config in configs if config not in known or known[config].plan < turn]
        sequence = max((record.sequence for record in known.values()), default=-1)
        best = min((record.latency for record in known.values()), default=float("inf"))
        batch: list[Record] = []
        with ThreadPoolExecutor(1) as pool:
            built = pool.map(lambda config: self.builder.build(task, grid.whole(config)), left)
            for config, artifact in zip(left, built, strict=True):
                sequence += 1
                record = self.time(task, grid, config, artifact, best)
                record = faster(replace(record, plan=turn, sequence=sequence), known.get(config))
                best = min(best, record.latency)
                batch.append(record)
                if len(batch) == BATCH or config == left[-1]:
                    database.append(batch)
                    batch = []

    def time(
        self, task: Task, grid: Grid, config: Config, artifact: Artifact, best: float
    ) -> Record:
        """The record of one configuration that was built."""
        timing = Timing(status=artifact.status)
        if artifact.status is Status.OK:
            timing = self.runner.run(task, artifact, best)
        return Record(
            task=task.digest,
            target=task.target,
            device=self.device,
            config=config,
            values=json.dumps(grid.space.values(config)),
            status=timing.status,
            latencies=tuple(sorted(timing.latencies)[:1]),
            build_seconds=round(artifact.seconds, 4),
            run_seconds=round(timing.seconds, 4),
            error=artifact.error or timing.error,
        )


def doubtful(records: Sequence[Record]) -> list[Config]:
    """What is to be measured again: the fastest, what failed, what was timed once as it is slow."""
    ranked = sorted(records, key=lambda record: record.latency)
    best = ranked[: round(AGAIN * len(ranked))]
    slow = [r for r in ranked if r.latency > MEASURING.long_seconds and r.status != Status.INVALID]
    return list(dict.fromkeys(record.config for record in [*best, *slow]))


def faster(record: Record, before: Record | None) -> Record:
    """A record with the smaller of its latency and an earlier one's."""
    if before is None or record.latency <= before.latency:
        return record
    return replace(before, plan=record.plan, sequence=record.sequence)


def around(space: DesignSpace, config: Config, counts: Sequence[int], pick: Pick) -> Grid:
    """A grid with ``config`` that has ``counts`` choices per knob, or all of fewer."""
    kept = tuple(
        tuple(sorted(pick(knob, start, min(count, len(knob)))))
        for knob, start, count in zip(space.knobs, config, counts, strict=True)
    )
    knobs = tuple(
        Knob(
            knob.name,
            tuple(knob.choices[number] for number in numbers),
            knob.coordinates[[*numbers]],
            knob.features[[*numbers]],
        )
        for knob, numbers in zip(space.knobs, kept, strict=True)
        if len(numbers) > 1
    )
    return Grid(DesignSpace(knobs), kept)


def connected(knob: Knob, start: int, count: int, rng: np.random.Generator) -> list[int]:
    """``start`` and random others, each on one axis with one before it."""
    places = np.round(knob.coordinates, 9)
    chosen = [start]
    while len(chosen) < count:
        differing = (places[:, None] != places[chosen][None]).sum(axis=2)
        chosen.append(int(rng.choice(np.flatnonzero(differing.min(axis=1) == 1))))
    return chosen


def write(records: Sequence[Record], path: Path) -> None:
    """All records as one file, as the database's parts are, but compressed better."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([asdict(record) for record in records], schema=SCHEMA)
    pq.write_table(table, path, compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
