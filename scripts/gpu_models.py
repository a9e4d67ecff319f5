"""The parts of ``gpu_check.py`` that tune a model: this engine, and stock MetaSchedule."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import bench_metaschedule
from cuda_toolkit import toolkit
from gpu_build import surveyed
from gpu_parts import Given
from gpu_zoo import factory

HERE = Path(__file__).parent
BATCH = 16
"""Candidates of a batch of MetaSchedule's; with TVM's 64 few layers would have a turn."""
TINY = ("--engine", "serial", "--explorer", "annealing", "--trials", "4")
"""How a rehearsal tunes: without Ray, and for as long as it takes."""
ENDING = 0.75
"""Share of the time after which MetaSchedule begins no batch: what remains is for compiling."""


def tune(given: Given) -> None:
    """Tunes with ``chameleon tune``; its summary, or what went wrong."""
    given.report.entry(("chameleon",), lambda: ours(given))


def ours(given: Given) -> dict[str, Any]:
    folder = fresh(given, "chameleon")
    spec = f"gpu_zoo:{factory(given.argument, given.small)}"
    command = [sys.executable, "-m", "chameleon_ray", "tune", spec, "--target", "cuda"]
    minutes = ["--minutes", f"{given.seconds / 60:.2f}"]
    command += [*(TINY if given.small else minutes), "--store", "none", "--out", str(folder)]
    command += ["--precision", "tf32"] if given.argument == "tf32" else []
    began = time.perf_counter()
    said = run(command)
    summary = folder / "summary.json"
    if not summary.exists():
        return {"error": said}
    found: dict[str, Any] = json.loads(summary.read_text())
    right = bool(found.get("verified", {}).get("ok"))
    wall = round(time.perf_counter() - began, 1)
    return {
        "right": right,
        "fault": "" if right else "the model is not verified",
        "wall_seconds": wall,
        **found,
    }


def metaschedule(given: Given) -> None:
    """Tunes with stock MetaSchedule; the seconds that it took, or what went wrong."""
    given.report.entry(("metaschedule",), lambda: theirs(given))


def theirs(given: Given) -> dict[str, Any]:
    folder = fresh(given, "metaschedule")
    folder.mkdir(parents=True)
    job = bench_metaschedule.Job(
        model=f"gpu_zoo:{factory(given.argument, given.small)}",
        target=surveyed(),
        folder=str(folder),
        trials=bench_metaschedule.MANY,
        batch=2 if given.small else BATCH,
        minutes=ENDING * given.seconds / 60,
        seed=0,
        short_imports=True,
        cores=tuple(os.sched_getaffinity(0)),
        began=time.time(),
        overtime=1.0,
        strategy="replay-trace" if given.small else "evolutionary",
    )
    command = [sys.executable, str(HERE / "bench_metaschedule.py"), str(job.write())]
    said, done = run(command, toolkit()), folder / "done.json"
    log = folder / "measurements.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    found = {
        "batches": len(lines),
        "measured": sum(one is not None for line in lines for one in line["latencies"]),
        "failed": sum(one is None for line in lines for one in line["latencies"]),
        "layers": len({line["task"] for line in lines}),
        "layers_of": lines[-1]["tasks"] if lines else None,
    }
    return {**found, **(json.loads(done.read_text()) if done.exists() else {"error": said})}


def fresh(given: Given, side: str) -> Path:
    """The folder of one side, which does not exist."""
    folder = given.out / given.argument / side
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def run(command: list[str], more: dict[str, str] | None = None) -> str:
    """Runs a command in this folder, where the factories are; the last line of its errors.

    Whoever started this process stops it, with all that came of it, when the time is up.
    """
    environment = {**os.environ, **(more or {})}
    with TemporaryFile("w+") as errors:
        command_line = {"cwd": HERE, "env": environment, "stdin": subprocess.DEVNULL}
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=errors, **command_line)
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    return lines[-1][-300:] if lines else f"exit status {done.returncode}"
