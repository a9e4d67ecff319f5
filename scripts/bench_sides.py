"""The two sides of ``bench_vs_metaschedule.py``: runs each and tells what it measured, and when."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_curves import Event, Point
from bench_metaschedule import Job

from chameleon_ray.compiler.runtime.cpu_runner import timing_environment
from chameleon_ray.database import Database
from chameleon_ray.errors import UserError

HERE = Path(__file__).parent


def metaschedule(folder: Path, settings: dict[str, Any]) -> list[dict]:
    """The batches MetaSchedule measured, from a process of its own or an earlier one."""
    if not (folder / "done.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        job = Job(
            model=settings["model"],
            target=settings["target"],
            folder=str(folder),
            trials=settings["trials_per_task"],
            batch=settings["trials_per_batch"],
            minutes=settings["their_minutes"],
            seed=settings["seed"],
            short_imports=settings["short_imports"],
            cores=tuple(settings["timing_cores"]),
            began=time.time(),
        )
        threads = timing_environment(len(job.cores))
        # what limits TVM's kernels, not what MetaSchedule's search may use
        environment = {name: value for name, value in threads if name.startswith("TVM_")}
        command = [sys.executable, str(HERE / "bench_metaschedule.py"), str(job.write())]
        called("MetaSchedule", command, folder.with_suffix(".log"), environment)
    log = (folder / "measurements.jsonl").read_text()
    return [json.loads(line) for line in log.splitlines()]


def chameleon(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The summary of this engine's run, and the seconds outside of the run's own clock."""
    outside = folder.with_suffix(".json")
    if not outside.exists():
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "chameleon_ray", "tune", settings["model"]]
        command += [
            "--store",
            "none",
            "--out",
            str(folder),
            "--minutes",
            str(settings["our_minutes"]),
        ]
        command += ["--seed", str(settings["seed"])]
        command += ["--threads", str(len(settings["timing_cores"]))]
        began = time.perf_counter()
        called("chameleon tune", command, folder.with_suffix(".log"), {})
        seconds = time.perf_counter() - began
        summary = json.loads((folder / "summary.json").read_text())
        outside.write_text(json.dumps({"outside_seconds": seconds - summary["wall_seconds"]}))
    summary = json.loads((folder / "summary.json").read_text())
    return {**summary, **json.loads(outside.read_text())}


def called(name: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
    """Runs one side to its end.

    Raises:
        UserError: It failed; its last words.
    """
    print(f"{name}: its output goes to {log}.", file=sys.stderr, flush=True)
    with log.open("w") as sink:
        done = subprocess.run(
            command, stdout=sink, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    if done.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        last = lines[-1].removeprefix("Error: ") if lines else "it said nothing"
        raise UserError(f"{name} failed, see {log}: {last}")


def side(events: list[Event], points: list[Point], tasks: int) -> dict[str, Any]:
    last = max((event.seconds for event in events), default=0.0)
    return {
        "tasks": tasks,
        "measurements": len(events),
        "failed": sum(event.latency is None for event in events),
        "seconds": last,
        "trial_seconds": last / max(len(events), 1),
        "layers_ms": points[-1][2] if points else None,
        "curve": points,
    }


def their_events(batches: list[dict]) -> tuple[list[Event], dict[str, float]]:
    """Every trial, when its runner knew it; and the weights of all tasks."""
    events = [
        Event(seconds, str(batch["task"]), latency)
        for batch in batches
        for seconds, latency in zip(batch["seconds"], batch["latencies"], strict=True)
    ]
    total = max((batch["tasks"] for batch in batches), default=0)
    weights = dict.fromkeys(map(str, range(total)), 0.0)
    return events, {**weights, **{str(batch["task"]): batch["weight"] for batch in batches}}


def our_events(folder: Path, summary: dict) -> tuple[list[Event], dict[str, float]]:
    """Every record, later by what the command spent outside of the run's own clock."""
    events = [
        Event(
            record.finished + summary["outside_seconds"],
            record.task,
            record.latency if record.latencies else None,
        )
        for record in Database(folder / "records").read()
    ]
    return events, {task["digest"]: task["weight"] for task in summary["tasks"]}
