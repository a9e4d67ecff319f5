"""Measures how much builds disturb the timings of a kernel.

    python scripts/measure_noise.py [--layer conv2d] [--timings 40] [--all-cores] [--json FILE]

One layer of ResNet-18 is extracted and the fastest of a few random schedules is timed again and
again by the same runner, as a candidate of the search is: the median of its repeats is one timing.
The kernel is timed beside no builds, beside builds that run where the engine puts them, and, for
contrast, beside builds on the timing cores. The three situations take turns, so that a drift of the
machine meets all of them alike.

With ``--all-cores`` the kernel has every core, as with ``--threads all``: builds are on the same
cores, and are frozen while it is timed or, for contrast, are not.
"""

import argparse
import itertools
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.cores import available, split
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Measuring, Request
from chameleon_ray.record import Status
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task

SITUATIONS = ("idle", "builds on the search cores", "builds on the timing cores")
ALL_CORES = ("idle", "builds that are frozen", "builds that are not")
TURNS = 4
CANDIDATES = 6
Cores = tuple[int, ...]


def main() -> None:
    """Measures, prints, and writes what was asked for."""
    arguments = parse()
    cores, load = available(), os.getloadavg()[0]
    if len(cores) < 2:
        raise SystemExit("This needs two cores: one for builds and one for timings.")
    search_cores, timing_cores = split(cores, len(cores) if arguments.all_cores else None)
    situations = ALL_CORES if arguments.all_cores else SITUATIONS
    freezer = Freezer(f"noise-{os.getpid()}") if arguments.all_cores else None
    os.sched_setaffinity(0, search_cores)  # as the engine does, before any child
    with ExitStack() as stack:
        task = layer(arguments.layer, timing_cores, stack)
        timer = CpuRunner(LLVM, Measuring(), timing_cores, "this machine")
        runner = Calibrated(timer, "this machine", freezer=freezer)
        stack.callback(runner.close)
        places = ((search_cores, freezer), (timing_cores, None))
        pools = [[], *(pool(where, len(search_cores), stack, one) for where, one in places)]
        configs = as_configs(task.space.random(np.random.default_rng(0), 64))
        artifact = fastest(task, configs, pools[1][0], runner)
        timings: dict[str, list[float]] = {situation: [] for situation in situations}
        for _ in range(TURNS):
            for situation, builders in zip(situations, pools, strict=True):
                with building(task, configs, builders):
                    count = -(-arguments.timings // TURNS)
                    timings[situation] += [once(task, artifact, runner) for _ in range(count)]
    figures = summary(timings)
    show(task, figures, search_cores, timing_cores)
    print(f"Load average before it began: {load:.1f}; idle was idle only where this is near 0.")
    if arguments.json is not None:
        written = {"layer": task.name, "load_before": load, "figures": figures}
        arguments.json.write_text(json.dumps(written, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--layer", default="conv2d", help="part of the layer's name")
    parser.add_argument("--timings", type=int, default=40, help="in each situation")
    parser.add_argument("--all-cores", action="store_true", help="as with --threads all")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


def layer(name: str, cores: Cores, stack: ExitStack) -> Task:
    """The layer of ResNet-18 with the largest design space among those of that name."""
    prepared = ModelProcess(LLVM, cores, stack).prepare(Request(model="resnet-18"))
    tasks = [task for task in prepared.tasks if name in task.name and task.space.knobs]
    if not tasks:
        names = ", ".join(task.name for task in prepared.tasks)
        raise SystemExit(f"No layer that can be tuned is called {name!r}; there are: {names}.")
    return max(tasks, key=lambda task: task.space.size)


def pool(where: Cores, count: int, stack: ExitStack, freezer: Freezer | None) -> list[ChildBuilder]:
    """Warm builders on the cores ``where``, which join the freezer, if there is one."""
    builders = [ChildBuilder(LLVM, Measuring(), where, freezer=freezer) for _ in range(count)]
    for builder in builders:
        stack.callback(builder.close)
        builder.warm()
    return builders


def fastest(
    task: Task, configs: Sequence[Config], builder: ChildBuilder, runner: Calibrated
) -> Artifact:
    """The build of the fastest of the first configurations that work."""
    timed = []
    for config in configs:
        artifact = builder.build(task, config)
        timing = runner.run(task, artifact, float("inf")) if artifact.code else None
        if timing is not None and timing.status is Status.OK:
            timed.append((median(timing.latencies), artifact))
        if len(timed) == CANDIDATES:
            break
    return min(timed, key=lambda pair: pair[0])[1]


@contextmanager
def building(
    task: Task, configs: Sequence[Config], builders: Sequence[ChildBuilder]
) -> Iterator[None]:
    """Keeps the builders compiling one configuration after the other for the length of a block."""
    over = threading.Event()

    def build(builder: ChildBuilder) -> None:
        for config in itertools.cycle(configs):
            if over.is_set():
                return
            builder.build(task, config)

    threads = [threading.Thread(target=build, args=(builder,)) for builder in builders]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def once(task: Task, artifact: Artifact, runner: Calibrated) -> float:
    """One timing in seconds, as the search gets it."""
    timing = runner.run(task, artifact, float("inf"))
    if timing.status is not Status.OK:
        raise SystemExit(f"A timing failed: {timing.status} {timing.error}")
    return median(timing.latencies)


def summary(timings: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Per situation: median in milliseconds, spread, and ratios to the idle machine's median."""
    idle = median(timings["idle"])
    return {
        situation: {
            "timings": len(seconds),
            "median_ms": 1e3 * median(seconds),
            "median_to_idle": median(seconds) / idle,
            "std_to_mean": stdev(seconds) / fmean(seconds),
            "worst_to_idle": max(seconds) / idle,
        }
        for situation, seconds in timings.items()
    }


def show(
    task: Task, figures: dict[str, dict[str, float]], search_cores: Cores, timing_cores: Cores
) -> None:
    print(f"{task.name} ({task.shape}); builds on {search_cores}, timings on {timing_cores}")
    print(f"{'':28} {'median':>10} {'to idle':>8} {'std/mean':>9} {'worst to idle':>14}")
    for situation, figure in figures.items():
        print(
            f"{situation:28} {figure['median_ms']:7.3f} ms {figure['median_to_idle']:7.3f}x "
            f"{100 * figure['std_to_mean']:8.2f}% {figure['worst_to_idle']:13.3f}x"
        )


if __name__ == "__main__":
    main()
