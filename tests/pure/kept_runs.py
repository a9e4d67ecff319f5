"""Directories of runs as commands leave them, made of a made-up result; nothing was measured."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from chameleon_ray.folder import RunFolder
from chameleon_ray.report.events import EventLog, Outcome
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult, Verified
from chameleon_ray.report.summary import write
from tests.pure.fake_result import fake_result

RIGHT, UNKNOWN, WRONG = (
    Verified(True, 1e-5, 1e-6, "torch"),
    Verified(True, 1e-5, 1e-6, "untuned TVM", independent=False),
    Verified(False, 9.0, 1.0, "torch", fault="output 'y' differs"),
)

FEW = 150
"""Records of a run that is over: each layer has some."""


def identity_of(result: RunResult) -> dict:
    """What ``run.json`` says of a run with this result."""
    return {
        "model": result.model,
        "model_digest": "0" * 16,
        "target": '{"kind": "llvm", "mcpu": "znver4", "num-cores": 2}',
        "device": result.device,
        "precision": "float32",
        "layout": "NHWC",
        "spaces": {task.digest: task.space.digest for task in result.tasks},
        "layers": {task.digest: task.name for task in result.tasks},
        "inputs": [],
        "options": {"model": "nets/a b.onnx", "inputs": ["x:1x3"], "minutes": 3.0, "out": "x"},
        "versions": dict(result.versions),
    }


@contextmanager
def under_way(path: Path, model: str = "resnet-18") -> Iterator[tuple[Progress, EventLog]]:
    """A run whose process works in its directory, once its search has begun."""
    result = replace(fake_result(path), model=model)
    folder, progress = RunFolder(path, existing=False), Progress()
    try:
        folder.identify(identity_of(result))
        with EventLog(folder.log, progress, result.tasks) as log:
            progress.phase("searching")
            progress.began(result.tasks, 600.0, 1000, devices=1)
            yield progress, log
    finally:
        folder.close()


def kept(
    path: Path,
    model: str = "resnet-18",
    outcome: Outcome | None = "done",
    verified: Verified | None = RIGHT,
    seed: int = 0,
    measured: int = 10,
) -> RunResult:
    """Makes the directory of a run that is over; the outcome is None where it was killed."""
    result = fake_result(path, seed)
    result = replace(result, model=model, verified=verified, records=result.records[:FEW])
    with under_way(path, model) as (progress, log):
        for record in result.records[:measured]:
            log.proposed(record.task, 1)
            progress.measured(record, 0.1)
            log.measured(record, 0.1)
        if outcome is not None:
            log.ended(
                outcome, {"done": "Done.", "stopped": "Stopped.", "error": "Error: x"}[outcome]
            )
    folder = RunFolder(path, existing=True)
    folder.database.append(list(result.records))
    if outcome == "done":
        folder.save_winners({o.task: (o.config, o.best) for o in result.outcomes})
        write(folder.summary, result)
        folder.report.write_text("<!doctype html><title>report</title><h1>Report</h1>")
    folder.close()
    return result


def changed(file: Path, **fields: object) -> None:
    """Writes other values into a file of JSON."""
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
