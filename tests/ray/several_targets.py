"""A program that tunes a zoo for two models of GPU on a cluster, and says last what came of it.

GPUs, runners and what runs whole models are pretended, as there need not be any GPU; builders,
search, import and compilation are real.
"""

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
from chaos_nodes import Nodes, until

from chameleon_ray.api import pools, tune_zoo
from chameleon_ray.cluster import placement, ray_session
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.database import Database
from chameleon_ray.measure import nvml
from chameleon_ray.measure.bench import Duel, Question, Verdict
from chameleon_ray.measure.calibrated import Calibrated, Surveyed
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.measure.scratch import MACHINE
from chameleon_ray.options import Confirming, Measuring, Member, Request, Zoo
from chameleon_ray.record import Status
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.zoo import ZooResult
from chameleon_ray.task import Task
from tests.pure.driver import GPUS, library

A100, H100 = "NVIDIA A100", "NVIDIA H100"
DEFAULT_SECONDS = {A100: 2e-3, H100: 1e-3}
TARGETS = {"a100": "cuda:sm_80", "h100": "cuda:sm_90", "t4": "cuda:sm_75"}
TRIALS = 20
NOTES = "CHAMELEON_TEST_NOTES"
"""Names the file into which whole models' questions are noted."""


class Pretended:
    """Stands in for a runner of a GPU and for a bench on it."""

    def __init__(self) -> None:
        self.gpu = nvml.visible()

    def survey(self) -> Surveyed:
        return Surveyed(json.dumps({"kind": "cuda", "arch": self.gpu.arch}), self.gpu.name)

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        return Timing((self._seconds(artifact),), Status.OK, 0.001, 0.001, self.gpu.name)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...]:
        return tuple(Finalist((self._seconds(one),), 0.0, 0.0, True) for one in artifacts)

    def ask(self, question: Question, contents: tuple[bytes, ...]) -> Outcome:
        name = Path(question.libraries[0]).parent.name
        node = ray.get_runtime_context().get_node_id()
        with open(os.environ[NOTES], "a") as notes:
            notes.write(json.dumps([name, self.gpu.name, node, len(contents[0])]) + "\n")
        seconds = DEFAULT_SECONDS[self.gpu.name]
        duel = [(seconds / 2,), (seconds,)]
        return Outcome(Ending.OK, duel if isinstance(question, Duel) else Verdict(True, 0.0, 0.0))

    def close(self) -> None: ...

    def _seconds(self, artifact: Artifact) -> float:
        """A device's own latency of its own, whatever the code is."""
        share = 1.0 if artifact.default else (len(artifact.code) % 97 + 1) / 100
        return share * DEFAULT_SECONDS[self.gpu.name]


def pretended(
    request: Request,
    kind: TargetKind,
    here: str,
    cores: tuple[int, ...],
    device: str,
    freezer: Freezer | None,
) -> Calibrated:
    """In place of ``workers.runner``; what times on GPUs freezes nothing."""
    assert freezer is None
    device = Pretended()
    place = f"{ray.get_runtime_context().get_node_id()} {device.gpu.uuid}"
    return Calibrated(device, place, request.calibrating, device)


def zoo(folder: Path, address: str) -> Zoo:
    """One small model on three targets; there is no GPU of the last one."""
    whole = Request(
        model="",
        target=TARGETS["a100"],
        trials=TRIALS,
        explorer="random",
        out=str(folder / "zoo"),
        address=address,
        measuring=Measuring(gpu_build_timeout=120.0, default_timeout=120.0),
    )
    models = {
        name: dataclasses.replace(whole, model="tests.whole.net:dense", target=target)
        for name, target in TARGETS.items()
    }
    return Zoo(
        Path("zoo.yaml"),
        whole,
        tuple(Member(f"dense-{n}", request) for n, request in models.items()),
    )


def main() -> None:
    """A head without a GPU, a node with an A100, and one with an H100."""
    folder = Path(sys.argv[1])
    os.environ["LD_LIBRARY_PATH"] = str(library(folder).parent)  # of the nodes to come
    os.environ[NOTES] = str(folder / "notes")
    pools.runner = pretended
    nodes, progress = Nodes(0, gpus=1), Progress()
    try:
        for model in (f"{A100}:8", f"{H100}:9"):
            os.environ[GPUS] = model
            os.environ[MACHINE] = tempfile.mkdtemp(dir=folder)  # its own, as GPUs are named alike
            nodes.add()
        del os.environ[GPUS], os.environ[MACHINE]
        with ray_session.start(nodes.address):
            assert until(lambda: len(placement.nodes()) == 3, 120)
            result = tune_zoo(zoo(folder, nodes.address), progress)
    finally:
        nodes.close()
    print(json.dumps(told(result, progress, folder)))


def told(result: ZooResult, progress: Progress, folder: Path) -> dict[str, Any]:
    """What the test looks at."""
    done = {entry.name: entry for entry in result.entries if entry.result}
    results = {name: entry.result for name, entry in done.items() if entry.result}
    own = {
        entry.name: [
            [record.device, record.sequence, record.status, record.target]
            for record in Database(entry.folder / "records").read()
        ]
        for entry in done.values()
    }
    return {
        "problems": {entry.name: entry.problem for entry in result.entries},
        "devices": {name: one.device for name, one in results.items()},
        "tuned": {name: one.tuned and one.tuned.seconds for name, one in results.items()},
        "processes": [a.name for one in results.values() for a in one.processes],
        "whole": result.device,
        "records": own,
        "all": [record.sequence for record in result.records],
        "asked": [json.loads(line) for line in (folder / "notes").read_text().splitlines()],
        "notes": progress.notes,
    }


if __name__ == "__main__":
    main()
