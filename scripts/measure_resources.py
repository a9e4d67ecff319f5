"""Tests whether a cost model foretells better if it knows what resources a kernel takes.

    python scripts/measure_resources.py TABLE KERNEL.cu [--arch sm_80] [--rows 400] [--seeds 20]
        [--out resources.jsonl]

TABLE is a Kernel Tuner cache of timings on a GPU of that architecture, KERNEL.cu the CUDA source
that they are of, or one that takes the same parameters as macros. Some of the table's
configurations are compiled, which needs no GPU; what that gave is kept in ``--out``. Then the
Gaussian process and the boosted trees learn from a few of them and foretell all others: from the
knobs alone; from the knobs and what compiling said (registers, spills, shared memory, occupancy),
which a search would know only after it has built; and from the knobs and what a Gaussian process,
taught the same few, foretells of those figures, which it would know before.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from spread import spread

from chameleon_ray.compiler.codegen.cuda_compiler import CompileError, compiler_for
from chameleon_ray.compiler.codegen.cuda_resources import resources
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Boosting, Gaussian
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.search.boosting import boosted
from chameleon_ray.search.gaussian import GaussianCostModel
from chameleon_ray.search.unit_box import UnitBox
from chameleon_ray.space import Config, as_configs

LEARNT = (16, 32, 64, 128)
CHOSEN = 8
"""Configurations that a plan would measure."""
FIGURES = ("registers", "spilled", "shared", "occupancy")


@dataclass(frozen=True)
class Job:
    """One configuration to compile."""

    config: Config
    source: str
    arch: str


@dataclass(frozen=True, eq=False)
class Sample:
    """What is learnt from and foretold.

    Attributes:
        configs: ``(n, knobs)``.
        knobs: ``(n, inputs)`` features between 0 and 1.
        figures: ``(n, 4)`` what each takes, between 0 and 1.
        speed: ``(n,)`` least latency over its own; 0 where it failed.
    """

    configs: np.ndarray
    knobs: np.ndarray
    figures: np.ndarray
    speed: np.ndarray


def main() -> None:
    """Compiles what is missing, then prints a row per number learnt from and model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("kernel", type=Path)
    parser.add_argument("--arch", default="sm_80")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("resources.jsonl"))
    arguments = parser.parse_args()
    table = read_table(arguments.table)
    configs = as_configs(table.space.enumerate())
    chosen = random.Random(0).sample(configs, min(arguments.rows, len(configs)))
    compile_rows(table, chosen, arguments)
    sample = sampled(table, chosen, arguments.out)
    failed = int((sample.speed == 0).sum())
    print(f"{len(sample.speed)} configurations of {table.name} on {table.device}, {failed} failed")
    print("| learnt | model | from | rank correlation | speed of the eight foretold best |")
    print("|---:|---|---|---:|---:|")
    for learnt in (n for n in LEARNT if 2 * n <= len(sample.speed)):
        scores = defaultdict(list)
        for seed in range(arguments.seeds):
            for names, score in trial(table, sample, learnt, np.random.default_rng(seed)):
                scores[names].append(score)
        for names, found in scores.items():
            cells = [spread(column) for column in zip(*found, strict=True)]
            row = ["{median:.3f} ± {spread:.3f}".format(**cell) for cell in cells]
            print("|", " | ".join([str(learnt), *names, *row]), "|", flush=True)


def compile_rows(table: Table, chosen: list[Config], arguments: argparse.Namespace) -> None:
    """Keeps what each configuration takes; what would not compile is kept as null."""
    known, source, jobs = kept(arguments.out), arguments.kernel.read_text(), []
    for config in chosen:
        values = table.space.values(config).items()
        macros = "".join(f"#define {name} {value}\n" for name, value in values)
        if config not in known:
            jobs.append(Job(config, macros + source, arguments.arch))
    with Pool(len(available())) as pool, arguments.out.open("a") as file:
        for config, found in pool.imap_unordered(compiled, jobs):
            print(json.dumps([config, found]), file=file, flush=True)


def compiled(job: Job) -> tuple[Config, dict[str, float] | None]:
    """What one configuration takes; None where it does not compile."""
    try:
        taken = resources(compiler_for(job.arch).compile(job.source), job.arch)
    except CompileError:
        return job.config, None
    return job.config, {name: getattr(taken, name) for name in FIGURES}


def kept(path: Path) -> dict[Config, dict[str, float] | None]:
    """What was compiled before."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(config): found for config, found in map(json.loads, lines)}


def sampled(table: Table, chosen: list[Config], path: Path) -> Sample:
    """The configurations that compiled, beside their recorded latencies."""
    found = kept(path)
    configs = [config for config in chosen if found[config] is not None]
    figures = np.array([[found[config][name] for name in FIGURES] for config in configs])
    figures[:, :3] = np.log2(figures[:, :3] + [0, 1, 1024])
    span = np.ptp(figures, axis=0)
    figures = (figures - figures.min(axis=0)) / np.where(span > 0, span, 1)
    latency = np.array([table.latency[table.row(config)] for config in configs])
    array = np.array(configs)
    return Sample(array, UnitBox.of(table.space)(array), figures, latency.min() / latency)


def trial(
    table: Table, sample: Sample, learnt: int, rng: np.random.Generator
) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """Names and scores of every model that learns from the same ``learnt`` configurations."""
    order = rng.permutation(len(sample.speed))
    seen, rest = order[:learnt], order[learnt:]
    gaussian = GaussianCostModel(Gaussian())
    foretold = np.column_stack(
        [
            gaussian._process(sample.knobs[seen], column[seen]).predict(sample.knobs)
            if np.ptp(column[seen])
            else np.zeros(len(column))
            for column in sample.figures.T
        ]
    )
    sides = {
        "knobs": sample.knobs,
        "and what compiling said": np.hstack([sample.knobs, sample.figures]),
        "and what is foretold of it": np.hstack([sample.knobs, foretold]),
    }
    seen, rest = (rows[sample.speed[rows] > 0] for rows in (seen, rest))
    truth = sample.speed[rest]
    for name, points in sides.items():
        process = gaussian._process(points[seen], sample.speed[seen])
        yield ("Gaussian process", name), scored(process.predict(points[rest]), truth)
        trees = boosted(table.space, points[seen], sample.speed[seen], Boosting(), rng)
        predicted = trees._booster.inplace_predict(points[rest], validate_features=False)
        yield ("boosted trees", name), scored(predicted, truth)


def scored(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Rank correlation, and the mean speed of what is foretold to be best, over the best speed."""
    best = truth[np.argsort(-predicted)[:CHOSEN]]
    return float(spearmanr(predicted, truth).statistic), float(best.mean() / truth.max())


if __name__ == "__main__":
    main()
