"""Measures how near the heaviest layers of models come to what their core computes at most.

    python scripts/measure_headroom.py MODEL... [--layers 8] [--draws 30] [--threads N]

For every layer: the best of a few random configurations of its space, in GFLOP/s, and the share of
the core's most. That is the best of a matrix product whose operands stay in the first cache, timed
in the same way, times the number of threads. A layer near it gains nothing from a larger space.
Layers by Winograd's algorithm are left out, as their operations are not those of the convolution.
"""

import argparse
import json
from contextlib import ExitStack
from dataclasses import replace
from statistics import median

import numpy as np
import tvm
from tvm import te

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.frontend.load import load
from chameleon_ray.compiler.kinds import LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.target import device_name
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Measuring
from chameleon_ray.space import DesignSpace, as_configs, distinct
from chameleon_ray.task import Task

MEASURING = Measuring(repeats=8, repeat_seconds=0.002)
ROWS, DEPTH, COLUMNS = 24, 128, 48
"""Sizes of the product that stays in the first cache."""


def main() -> None:
    """Prints a line per layer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="as chameleon tune has it")
    parser.add_argument("--layers", type=int, default=8, help="the heaviest of each model; 8")
    parser.add_argument("--draws", type=int, default=30, help="configurations of a layer; 30")
    parser.add_argument("--threads", type=int, default=1, help="of a kernel; 1")
    arguments = parser.parse_args()
    cores = available()[-arguments.threads :]
    target = resolve("llvm", arguments.threads)
    with ExitStack() as stack:
        clock = Clock(cores, arguments.draws, stack)
        single = Clock(cores[-1:], arguments.draws, stack)
        most = arguments.threads * single.speed(in_cache(resolve("llvm", 1)))
        print(f"{device_name(len(cores))}: {most:.1f} GFLOP/s at most")
        for model in arguments.models:
            for task in heaviest(model, target, arguments.layers):
                speed = clock.speed(task)
                share = f"{speed:6.1f} GFLOP/s, {100 * speed / most:3.0f} %"
                print(f"{model}: {share}  {task.space.size} {task.name} {task.shape}", flush=True)


class Clock:
    """Builds and times a layer's random configurations, one after the other."""

    def __init__(self, cores: tuple[int, ...], draws: int, stack: ExitStack) -> None:
        self.draws = draws
        self.builder = ChildBuilder(LLVM, MEASURING)
        self.runner = CpuRunner(LLVM, MEASURING, cores, device_name(len(cores)))
        stack.callback(self.builder.close)
        stack.callback(self.runner.close)

    def speed(self, task: Task) -> float:
        """The GFLOP/s of the best of the draws, by the median of its repeats."""
        drawn = distinct(task.space.random(np.random.default_rng(0), 8 * self.draws))
        best = float("inf")
        for config in as_configs(drawn[: self.draws]):
            timing = self.runner.run(task, self.builder.build(task, config), best)
            best = min(best, median(timing.latencies or (best,)))
        return task.flop / best / 1e9


def heaviest(model: str, target: str, count: int) -> list[Task]:
    """The layers of a model with the most operations, all their occurrences together."""
    module = lower(load(model).module, tvm.target.Target(json.loads(target)), LLVM, "auto")
    tasks = [task for task in extract(module, target, LLVM) if "winograd" not in task.name]
    return sorted(tasks, key=lambda task: -task.flop * task.weight)[:count]


def in_cache(target: str) -> Task:
    """A matrix product whose operands stay in the first cache."""
    left = te.placeholder((ROWS, DEPTH), name="left")
    right = te.placeholder((DEPTH, COLUMNS), name="right")
    k = te.reduce_axis((0, DEPTH), "k")
    product = te.compute((ROWS, COLUMNS), lambda i, j: te.sum(left[i, k] * right[k, j], k))
    module = tvm.IRModule({"main": te.create_prim_func([left, right, product])})
    space, program = design(module, tvm.target.Target(json.loads(target)), LLVM)
    task = Task("in cache", "0" * 16, target, 1, 0.0, DesignSpace(()), program.dumps(), "")
    return replace(task, space=space, flop=2.0 * ROWS * DEPTH * COLUMNS)


if __name__ == "__main__":
    main()
