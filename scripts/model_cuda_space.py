"""A design space that looks like a GPU's: TVM says what is valid, a formula what is fast.

    python scripts/model_cuda_space.py [--out FOLDER]

Writes ``cuda-model.parquet``. Which configurations are valid is TVM's own verdict: each is
scheduled for a CUDA device and passes MetaSchedule's postprocessors or does not, for too many or
too few threads or too much shared memory. The latencies are no measurements. They come from a
model of a GPU, a roofline with penalties that sees the tile sizes alone; nothing was compiled for
a GPU or run on one.
"""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import tvm
from record_space import Conv, around, one_layer, write

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.nvidia import attributes
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.knob import Choice, Knob
from chameleon_ray.record import Record, Status
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task

LAYER = Conv(64, 56, 64, 3, 1, 1)
TARGET = {"kind": "cuda", "arch": "sm_80"} | (attributes("sm_80") or {})
DEVICE = "cuda-model: latencies of a formula, not measured"
KEPT = (1, 4, 4, 4, 1, 1, 5, 1, 1, 2)
"""Choices kept of the knobs: sketch, tilings of rows, columns, filters, kernel rows, kernel columns
and channels, vectors of either fetch, unrolling."""
TRIALS = 400
"""Random configurations of the whole space."""
BLOCK = 64
"""Least threads of the one that the grid is around: the model's fastest of the valid ones. Around
one with few threads nearly all have too few."""

MULTIPROCESSORS, WARPS, WARP = 108, 64, 32
REGISTERS, SHARED = 64 << 10, 164 << 10
FLOPS, BANDWIDTH, LAUNCH = 19.5e12, 4.0e12, 3e-6
"""An imaginary device: operations and bytes from its cache per second, seconds of a launch."""


def main() -> None:
    """Checks and models every configuration of the grid."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("tests/data"))
    arguments = parser.parse_args()
    TEMPLATES["cuda"] = ()
    task = one_layer(LAYER, str(tvm.target.Target(TARGET)), "NHWC")
    task = replace(task, space=replace(task.space, limits=()))
    program = Program.loads(task.program)
    drawn = as_configs(task.space.random(np.random.default_rng(0), TRIALS))
    able = [config for config in drawn if tiles(task, config)[0][:, 2].prod() >= BLOCK]
    valid = [config for config in able if not refusal(program, config)]
    grid = around(task.space, min(valid, key=lambda config: modelled(task, config)), KEPT, near)
    records = [
        record(task, program, config, grid.whole(config), grid.space.values(config))
        for config in as_configs(grid.space.enumerate())
    ]
    write(records, arguments.out / "cuda-model.parquet")
    failed = sum(record.status is Status.INVALID for record in records)
    print(f"{len(records)} configurations, {failed} of them invalid")


def near(knob: Knob, start: int, count: int) -> list[int]:
    """``start`` and others, each one move away from one before it, as far apart as that allows."""
    chosen = [start]
    while len(chosen) < count:
        reached = np.setdiff1d(knob.moves[chosen], chosen)
        if not len(reached):
            break
        offsets = knob.coordinates[reached][:, None] - knob.coordinates[chosen][None]
        chosen.append(int(reached[np.abs(offsets).sum(axis=2).min(axis=1).argmax()]))
    return chosen


def record(
    task: Task, program: Program, config: Config, whole: Config, values: dict[str, Choice]
) -> Record:
    """What TVM says of a configuration, and what the model says of a valid one."""
    error = refusal(program, whole)
    return Record(
        task=task.digest,
        target=task.target,
        device=DEVICE,
        config=config,
        values=json.dumps(values),
        status=Status.INVALID if error else Status.OK,
        latencies=() if error else (modelled(task, whole),),
        error=error,
    )


def refusal(program: Program, config: Config) -> str:
    """Why TVM turns a configuration down; empty where it does not."""
    try:
        program.schedule(config, CUDA.generator)
    except InvalidConfig as reason:
        return str(reason)
    return ""


def modelled(task: Task, config: Config) -> float:
    """Seconds by the formula: a launch, the longer of computing and fetching, some of the other."""
    spatial, reduced, widths, unroll = tiles(task, config)
    blocks, threads = int(spatial[:, 0].prod()), int(spatial[:, 2].prod())
    rows, columns, filters = spatial[:, [1, 3, 4]].prod(axis=1)  # that one thread computes
    fetched = shared_bytes(spatial[:, 1:].prod(axis=1), reduced[:, 1:].prod(axis=1))
    outputs, operands = rows * columns * filters, rows * columns + filters
    registers = outputs + operands + 24
    warps = -(-threads // WARP)
    resident = max(
        1,
        min(
            REGISTERS // (warps * WARP * min(registers, 255)),
            SHARED // fetched.sum(),
            WARPS // warps,
        ),
    )
    slots = MULTIPROCESSORS * resident
    filled = blocks / (-(-blocks // slots) * slots)  # of the device, over all waves of blocks
    hidden = min(1.0, resident * warps * min(outputs, 16) / 192)  # of each instruction's latency
    busy = threads / (warps * WARP) * min(1.0, 255 / registers) ** 2  # lanes; registers spill
    useful = outputs / (outputs + 0.5 * operands)  # multiplications among the instructions
    looped = 1 - 0.25 / (1 + math.log2(1 + unroll))  # the rest counts loops
    computing = task.flop / (FLOPS * filled * hidden * busy * useful * looped)
    steps = int(reduced[:, 0].prod())
    moved = blocks * steps * float((fetched * (1 + 0.5 / widths)).sum())
    fetching = moved / (BANDWIDTH * filled)
    return float(LAUNCH + max(computing, fetching) + 0.2 * min(computing, fetching))


def tiles(task: Task, config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """``(3, 5)`` of rows, columns, filters; ``(3, 3)`` of what is summed; ``(2,)`` vectors; unroll.

    The five: blocks, virtual threads, threads, and twice what one thread does.
    """
    choices = [knob.choices[number] for knob, number in zip(task.space.knobs, config, strict=True)]
    _, *tilings, wide_data, wide_weights, unroll = choices
    widths = np.array([wide_data, wide_weights])
    return np.array(tilings[:3]), np.array(tilings[3:]), widths, int(unroll)  # type: ignore[arg-type]


def shared_bytes(tile: np.ndarray, reduced: np.ndarray) -> np.ndarray:
    """``(2,)`` bytes of data and weights that a block of ``tile`` outputs fetches in one step."""
    rows, columns, filters = tile
    high, broad, channels = reduced
    area = ((rows - 1) * LAYER.stride + high) * ((columns - 1) * LAYER.stride + broad)
    return 4 * channels * np.array([area, high * broad * filters])


if __name__ == "__main__":
    main()
