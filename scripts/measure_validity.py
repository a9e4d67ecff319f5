"""Counts valid proposals for a GPU: by explorer, with and without limits, over the plans.

    python scripts/measure_validity.py [--arch sm_80] [--plans N] [--explorer NAME...]
        [--layer NAME...]

Needs no GPU. A configuration is valid where its schedule applies and passes MetaSchedule's
postprocessors, VerifyGPUCode among them. The search is that of the preset ``chameleon``, always
walking. Latencies are no measurements: a formula pretends that more threads and more sums per
thread are always faster, so that what is best lies right before what is invalid.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from chameleon_ray.api.algorithms import (
    EXPLORERS,
    chosen,
    cost_model_factory,
    explorer_factory,
    sampler_factory,
)
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.passes.lower import lowerings
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Search
from chameleon_ray.pool import InProcessPool
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import Config, DesignSpace
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner


@dataclass(frozen=True)
class Layer:
    """A convolution of ResNet-18.

    Attributes:
        image: Channels and width of the input.
        filters: Output channels, width of the kernel, stride.
        dtype: Of everything.
        templates: Whether templates make its space, where one fits; else the sketches do, in NHWC.
    """

    image: tuple[int, int]
    filters: tuple[int, int, int]
    dtype: str = "float32"
    templates: bool = True


LAYERS = {
    "direct 7x7 3x224": Layer((3, 224), (64, 7, 2)),
    "direct 3x3 64x56": Layer((64, 56), (128, 3, 2)),
    "direct 1x1 256x14": Layer((256, 14), (512, 1, 2)),
    "winograd 64x56": Layer((64, 56), (64, 3, 1)),
    "winograd 512x7": Layer((512, 7), (512, 3, 1)),
    "sketch 64x56": Layer((64, 56), (64, 3, 1), templates=False),
    "sketch 512x7": Layer((512, 7), (512, 3, 1), templates=False),
    "tensor cores 64x56": Layer((64, 56), (64, 3, 1), "float16"),
    "tensor cores 1x1 256x14": Layer((256, 14), (512, 1, 2), "float16"),
    "tensor cores 512x7": Layer((512, 7), (512, 3, 1), "float16"),
    "WMMA sketch 64x56": Layer((64, 56), (64, 3, 1), "float16", templates=False),
    "WMMA sketch 1x1 256x14": Layer((256, 14), (512, 1, 2), "float16", templates=False),
}


def main() -> None:
    """Prints a row per layer, kind of space and explorer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--arch", default="sm_80")
    parser.add_argument("--plans", type=int, default=6)
    parser.add_argument("--explorer", nargs="*", default=list(EXPLORERS), choices=EXPLORERS)
    parser.add_argument("--layer", nargs="*", default=list(LAYERS), choices=LAYERS)
    arguments = parser.parse_args()
    target = resolve(f"cuda:{arguments.arch}", 1)
    print("| layer | explorer | limits | first plan | later plans | last two |")
    print("|---|---|---|---:|---:|---:|")
    with session("ppo" in arguments.explorer):
        for name in arguments.layer:
            task = task_of(LAYERS[name], target)
            for explorer in arguments.explorer:
                search = replace(chosen("chameleon", explorer), exhaustive=0)
                for limits in (False, True):
                    shares = asyncio.run(searched(task, search, limits, arguments.plans))
                    row = " | ".join(f"{share:.0%}" for share in shares)
                    print(
                        f"| {name} | {explorer} | {'yes' if limits else 'no'} | {row} |", flush=True
                    )


@contextmanager
def session(needed: bool) -> Iterator[None]:
    """Ray, where PPO walks."""
    with ExitStack() as stack:
        if needed:
            from chameleon_ray.cluster import ray_session

            stack.enter_context(ray_session.start(None, len(available())))
        yield


def task_of(layer: Layer, target: str) -> Task:
    """A convolution with its bias and ReLU, as a task."""
    (channels, width), (filters, size, stride) = layer.image, layer.filters
    kernel = np.ones((filters, channels, size, size), dtype=layer.dtype)
    bias = relax.const(np.ones((1, filters, 1, 1), dtype=layer.dtype))
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, channels, width, width), layer.dtype))
    strided = {"strides": stride, "padding": size // 2}
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit(relax.op.nn.conv2d(x, relax.const(kernel), **strided))
            y = builder.emit(relax.op.nn.relu(builder.emit(y + bias)))
            y = builder.emit_output(y)
        builder.emit_func_output(y)
    templates = TEMPLATES["cuda"]
    layout = "auto" if layer.templates else "NHWC"  # which is never by Winograd's algorithm
    try:
        TEMPLATES["cuda"] = templates if layer.templates else ()
        made = tvm.target.Target(json.loads(target))
        *_, lowered = lowerings(builder.get(), made, CUDA, layout)  # by Winograd's if there is one
        tasks = extract(lowered, target, CUDA)
    finally:
        TEMPLATES["cuda"] = templates
    return max(tasks, key=lambda task: task.flop)


async def searched(
    task: Task, search: Search, limits: bool, plans: int
) -> tuple[float, float, float]:
    """Shares of valid configurations in the first plan, in the later ones, in the last two."""
    space = task.space if limits else unlimited(task.space)
    pools = [
        InProcessPool("search", factory(search), {}, 0.0)
        for factory in (cost_model_factory, explorer_factory, sampler_factory)
    ]
    system = SearchSystem(*pools)
    tuner = Tuner(replace(task, space=space, has_default=False), system, search, seed=0)
    program, shares = Program.loads(task.program), []
    for plan in range(plans):
        batch = [config for config in await tuner.propose() if config != DEFAULT]
        records = [record(task, program, config, plan) for config in batch]
        tuner.observe(records)
        shares.append([record.status is Status.OK for record in records])
    later = [valid for plan in shares[1:] for valid in plan]
    last = [valid for plan in shares[-2:] for valid in plan]
    return float(np.mean(shares[0])), float(np.mean(later)), float(np.mean(last))


def unlimited(space: DesignSpace) -> DesignSpace:
    """All combinations of choices."""
    return replace(space, limits=(), members=None)


def record(task: Task, program: Program, config: Config, plan: int) -> Record:
    """TVM's verdict, and what the formula says of a valid configuration."""
    status, error = Status.OK, ""
    try:
        program.schedule(config, CUDA.generator)
    except InvalidConfig as reason:
        status, error = Status.INVALID, str(reason)
    latencies = (pretended(task.space, config),) if status is Status.OK else ()
    return Record(
        task.digest, task.target, "formula", config, "{}", status, latencies, plan=plan, error=error
    )


def pretended(space: DesignSpace, config: Config) -> float:
    """Seconds by the formula."""
    row: Any = np.array([config])
    amounts = {
        limit.name: int(limit.amounts(row)[0]) for limit in space.limits if limit.concerns(row)[0]
    }
    threads = min(amounts.get("threads per block", 1), 512)
    sums = min(amounts.get("registers per thread", amounts.get("shared memory", 1)), 255)
    return 1.0 / (threads * sums**0.5)


if __name__ == "__main__":
    main()
