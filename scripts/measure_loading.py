"""Measures what it costs builder and runner to generate machine code, in seconds per candidate.

    python scripts/measure_loading.py [MODEL] [--candidates N] [--json FILE]

The same random configurations of a model's layers are built twice, one after the other: to LLVM IR,
from which the runner generates machine code as it loads it, and to a shared library. The output has
the seconds of building and those of loading, by the clock. It also has the candidates a second that
one runner could take, its timing included, if it never waited.
"""

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from spread import spread

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.replay import destinations
from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available, split
from chameleon_ray.options import Measuring, Request
from chameleon_ray.record import Status
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task

KINDS = ("LLVM IR", "shared library")
FINE = Measuring(build_timeout=30.0, run_timeout=30.0, load_timeout=30.0)


@dataclass(frozen=True)
class Cost:
    """Seconds of one candidate: to build it, to load it, to execute it for its timing."""

    build: float
    load: float
    execute: float


def main() -> None:
    """Measures, prints a line per kind, and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("model", metavar="MODEL", nargs="?", default="resnet-18")
    parser.add_argument("--candidates", type=int, default=60, help="in all; 60")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    try:
        destinations(None, arguments.json, ())
        costs = measured(arguments.model, arguments.candidates)
    except UserError as error:
        raise SystemExit(f"Error: {error}") from error
    figures = {kind: summary(costs[kind]) for kind in KINDS}
    for kind, figure in figures.items():
        print(f"{kind:15} " + ", ".join(f"{name} {value:.4g}" for name, value in figure.items()))
    pairs = zip(costs[KINDS[0]], costs[KINDS[1]], strict=True)
    saved = [first.load / second.load for first, second in pairs]
    print("loading, ratio of the pairs: {median:.1f} ± {spread:.1f}".format(**spread(saved)))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(model: str, candidates: int) -> dict[str, list[Cost]]:
    """Costs of the same candidates, by kind."""
    search_cores, timing_cores = split(available(), None)
    costs: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        tasks = ModelProcess(LLVM, timing_cores, stack).prepare(Request(model=model)).tasks
        tasks = [task for task in tasks if task.space.knobs]
        runner = CpuRunner(LLVM, FINE, timing_cores, "")
        builders = [
            ChildBuilder(LLVM, FINE, search_cores, linked=kind == KINDS[1]) for kind in KINDS
        ]
        for worker in (runner, *builders):
            stack.callback(worker.close)
            worker.warm()
        rng = np.random.default_rng(0)
        for number in range(candidates + len(tasks)):
            task = tasks[number % len(tasks)]
            config = as_configs(task.space.random(rng, 1))[0]
            found = [cost(task, config, builder, runner) for builder in builders]
            if number >= len(tasks) and None not in found:  # the first makes the layer's inputs
                for kind, one in zip(KINDS, found, strict=True):
                    costs[kind] += [one] if one else []
    return costs


def cost(task: Task, config: Config, builder: ChildBuilder, runner: CpuRunner) -> Cost | None:
    """Of one candidate; None where it does not work."""
    artifact = builder.build(task, config)
    if artifact.status is not Status.OK:
        return None
    timing = runner.run(task, artifact, float("inf"))
    if timing.status is not Status.OK:
        return None
    load = timing.seconds - timing.timing_seconds
    return Cost(artifact.seconds, load, timing.timing_seconds)


def summary(costs: list[Cost]) -> dict[str, float]:
    """Means in milliseconds, as sums are what counts, and what one runner could do a second."""
    mean = {
        name: sum(getattr(cost, name) for cost in costs) / len(costs)
        for name in ("build", "load", "execute")
    }
    figures = {f"{name}_ms": 1e3 * seconds for name, seconds in mean.items()}
    return figures | {"most_per_second": 1 / (mean["load"] + mean["execute"])}


if __name__ == "__main__":
    main()
