"""Tells which template, or MetaSchedule, makes the space of each of a model's layers for a GPU.

    python scripts/measure_cuda_spaces.py [--arch sm_90] [--model MODEL...]
        [--precision float32 float16] [--proposals 64]

Needs no GPU. For each model and precision, a row per kind of space: how many distinct layers have
it, the logarithm of how many configurations the smallest, the median and the largest have, and how
many of some random proposals per layer are valid: their schedules apply and pass TVM's checks. The
layers that are elementwise or sum up a little, and have less than 1000 configurations, are counted
in a row of their own. MODEL is whatever ``chameleon tune`` takes.
"""

import argparse
import json
import math
from collections import defaultdict
from statistics import median

import numpy as np
import tvm
from tvm.s_tir.schedule import ScheduleError

from chameleon_ray.compiler.frontend.load import load
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.passes.lower import lowerings
from chameleon_ray.compiler.spaces.lowerings import extract_all
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task

SMALL = 1000
"""Fewest configurations of a layer that is searched in earnest."""


def main() -> None:
    """Prints the table, a row per kind of space."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--model", nargs="*", default=["resnet-18", "mobilenet-v2"])
    parser.add_argument("--precision", nargs="*", default=["float32", "float16"])
    parser.add_argument("--proposals", type=int, default=64)
    arguments = parser.parse_args()
    target = resolve(f"cuda:{arguments.arch}", 1)
    print("| model | precision | space | layers | configurations, log10 | valid |")
    print("|---|---|---|---:|---:|---:|")
    for model in arguments.model:
        module = load(model).module
        for precision in arguments.precision:
            made = tvm.target.Target(json.loads(target))
            first, *others = lowerings(module, made, CUDA, precision=precision)
            groups = defaultdict(list)
            for task in extract_all(first, others, target, CUDA):
                groups[maker(task)].append(task)
            for name, tasks in sorted(groups.items()):
                print(row(model, precision, name, tasks, arguments.proposals), flush=True)


def maker(task: Task) -> str:
    """Names what made a layer's space."""
    if task.space.size < SMALL:
        return "small"
    program = Program.loads(task.program)
    for template in CUDA.templates():
        try:
            if template(program.module, program.target) is not None:
                return f"`{template.__name__}`"
        except ScheduleError:
            continue
    return "MetaSchedule"


def row(model: str, precision: str, name: str, tasks: list[Task], proposals: int) -> str:
    """Words a row of the table."""
    sizes = sorted(math.log10(max(float(task.space.size), 1.0)) for task in tasks)
    shown = f"{sizes[0]:.1f}, {median(sizes):.1f}, {sizes[-1]:.1f}"
    valid = []
    for task in tasks:
        program = Program.loads(task.program)
        valid += [is_valid(program, config) for config in drawn(task, proposals)]
    share = f"{sum(valid)} of {len(valid)}"
    return f"| {model} | {precision} | {name} | {len(tasks)} | {shown} | {share} |"


def drawn(task: Task, count: int) -> list[Config]:
    """Random proposals; none where there is nothing to choose."""
    if not task.space.knobs:
        return []
    return as_configs(task.space.random(np.random.default_rng(0), count))


def is_valid(program: Program, config: Config) -> bool:
    """Whether a configuration's schedule applies and passes TVM's checks."""
    try:
        program.schedule(config, CUDA.generator)
    except InvalidConfig:
        return False
    return True


if __name__ == "__main__":
    main()
