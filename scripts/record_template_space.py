"""Measures the space of a template for a layer, or a grid of it, into a Parquet file.

    python scripts/record_template_space.py LAYER... [--work FOLDER] [--out FOLDER]

A space of a few thousand configurations is measured whole; of a larger one, a grid with a few
choices of its largest knobs, which moves connect. Order, repeats and what is measured again are
those of ``record_space.py``. What was measured is kept under ``--work``, where an interrupted run
goes on.
"""

import argparse
import json
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record_space import Grid, Recorder, around, connected, doubtful, write

from chameleon_ray.compiler.kinds import kind_of, resolve
from chameleon_ray.database import Database
from chameleon_ray.measure.cores import available, split
from chameleon_ray.record import Record
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task

LAYERS: dict[str, tuple[int, ...]] = {
    "resnext-28": (),
    "heads-20": (2, 40, 34, 2),
    "attention-150": (2, 100, 15, 2),
}
"""A grouped 3x3 convolution of ResNeXt-50, a detector's heads, and attention over 150 words in 12
heads; with the choices kept of a larger space's knobs: sketch, tilings of rows and of columns, sums
in a step."""


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
            task = one_layer(name, resolve("llvm", len(timing_cores)))
            records = recorded(recorder, task, arguments.work / name)
            write(records, arguments.out / f"{name}.parquet")
            best = min(record.latency for record in records)
            print(f"{name}: {len(records)} configurations, fastest {1e3 * best:.3f} ms", flush=True)


def model(name: str) -> tuple[Any, tuple[Any, ...]]:
    """A torch model of one layer, and its inputs."""
    import torch
    from torch import nn

    class Products(nn.Module):
        def forward(self, left: Any, right: Any) -> Any:
            return torch.matmul(left, right)

    if name == "resnext-28":
        layer = nn.Conv2d(256, 256, 3, padding=1, groups=32)
        return nn.Sequential(layer, nn.ReLU()), (torch.zeros(1, 256, 28, 28),)
    if name == "heads-20":
        return nn.Sequential(nn.Conv2d(256, 255, 1), nn.ReLU()), (torch.zeros(1, 256, 20, 20),)
    return Products(), (torch.zeros(12, 150, 64), torch.zeros(12, 64, 150))


def one_layer(name: str, target: str) -> Task:
    """The layer as the extraction from its torch model gives it."""
    import torch
    import tvm
    from tvm.relax.frontend.torch import from_exported_program

    from chameleon_ray.compiler.passes.lower import lower
    from chameleon_ray.compiler.spaces.extract import extract

    module, inputs = model(name)
    program = torch.export.export(module.eval(), inputs)
    machine, kind = tvm.target.Target(json.loads(target)), kind_of(target)
    lowered = lower(from_exported_program(program), machine, kind, "auto")
    return max(extract(lowered, target, kind), key=lambda task: task.flop)


def recorded(recorder: Recorder, task: Task, folder: Path) -> list[Record]:
    """The records of a task's configurations, in their order."""
    rng = np.random.default_rng(0)
    grid = chosen(task, rng, LAYERS[folder.name])
    configs = grid.space.enumerate()
    valid = [task.space.valid(np.array([grid.whole(config)]))[0] for config in as_configs(configs)]
    database = Database(folder)
    recorder.measure(task, grid, as_configs(rng.permutation(configs[valid])), database, 0)
    recorder.measure(task, grid, doubtful(database.read()), database, 1)
    return sorted(database.read(), key=lambda record: record.config)


def chosen(task: Task, rng: np.random.Generator, kept: tuple[int, ...]) -> Grid:
    """A task's whole space, or the grid of it that is measured."""
    space = task.space
    if not kept:
        return Grid(space, tuple(tuple(range(len(knob))) for knob in space.knobs))
    (start,) = as_configs(space.random(rng, 1))
    return around(space, start, kept, partial(connected, rng=rng))


if __name__ == "__main__":
    main()
