"""Two nodes with simulated GPUs: who has which, what losses cost, and heads without a driver."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chameleon_ray.database import Database
from chameleon_ray.record import Status
from tests.gpu.conftest import simulated
from tests.ray.test_nodes import program
from tests.whole.command import Command
from tests.whole.onnx_net import dense_layers

TRIALS = 12
Said = tuple[int, str, str]
"""What came of a command: its status, and what it wrote to either stream."""


@dataclass(frozen=True)
class Run:
    """A model tuned from a head without a driver, and what was seen meanwhile."""

    folder: Path
    model: str
    found: dict[str, Any]


def seen(*arguments: object) -> dict[str, Any]:
    """What ``two_nodes.py`` saw."""
    done = program("tests/gpu/two_nodes.py", *map(str, arguments))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Programs:
    """Clusters of two nodes, which are there at the same time, as both wait most of it."""

    pinned: Future[dict[str, Any]]
    tuned: Future[dict[str, Any]]
    folder: Path
    model: str


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    simulated(driver=None)  # or the test is skipped
    folder = tmp_path_factory.mktemp("two_nodes")
    model = dense_layers(folder / "dense.onnx", 32, 16, 24, 8)
    with ThreadPoolExecutor() as threads:
        tuned = threads.submit(seen, "tuned", folder, model, TRIALS, folder / "run")
        pinned = threads.submit(seen, "pinned", folder / "pinned")
        yield Programs(pinned, tuned, folder, model)


@pytest.fixture(scope="module")
def run(programs: Programs) -> Run:
    """On three GPUs, of which one is lost; a process on another one falls silent."""
    return Run(programs.folder / "run", programs.model, programs.tuned.result())


def test_every_actor_has_a_gpu_of_the_model_to_itself(programs: Programs) -> None:
    found = programs.pinned.result()
    assert found["known"] == 8
    assert "leaves out 1 Tesla T4" in found["left_out"]
    assert {name for name, _, _ in found["seen"]} == {"NVIDIA H100 80GB HBM3"}
    assert len({uuid for _, uuid, _ in found["seen"]}) == len(found["seen"]) == 7
    assert {count for _, _, count in found["seen"]} == {1}
    assert 4 < found["devices_worth"] <= 7


def test_a_lost_gpu_and_a_silent_process_cost_no_record(run: Run) -> None:
    assert run.found["status"] == 0, run.found["said"]
    assert run.found["hung"]
    assert run.found["lost"] == ["0"]
    assert "leaves out 1 Tesla T4" in run.found["said"]
    records = Database(run.folder / "records").read()
    assert len(records) == TRIALS
    statuses = Counter(record.status for record in records)
    assert statuses[Status.RUN_TIMEOUT] <= 1, "what was being timed by the process that fell silent"
    assert set(statuses) <= {Status.OK, Status.INVALID, Status.RUN_TIMEOUT}


def test_the_runner_of_a_lost_gpu_is_replaced_in_vain_and_given_up(run: Run) -> None:
    said = " ".join(run.found["said"].split())
    replaced = (
        r"Runner (\d) on node \S+ was lost and is replaced.*?: NVIDIA H100 80GB HBM3 cannot be "
        r"used: TVM sees no GPU on this machine: CUDA_VISIBLE_DEVICES is"
    )
    (number,) = re.findall(replaced, said)
    given_up = rf"Runner {number} on node \S+ is given up, which leaves 2 runners: "
    why = "(no NVIDIA H100 80GB HBM3 is free here|CUDA_VIS|NVIDIA's driver .*the GPU is lost)"
    assert re.search(given_up + why, said), said


def test_a_head_without_a_driver_tunes_on_nodes_with_gpus(run: Run) -> None:
    assert "Verified: same outputs as ONNX Runtime" in run.found["said"]
    assert "CUDA graphs" in run.found["said"]
    for name in ("model.so", "untuned.so"):
        assert b"__global__" not in (run.folder / name).read_bytes()
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["launching"]["fault"] is None
    assert summary["verified"]["ok"]
    verified = {p["name"].split()[0] for p in summary["processes"] if "verify" in p["busy"]}
    assert verified == {"runner"}, "as the head has no GPU"


@pytest.fixture(scope="module")
def applied(run: Run) -> dict[str, tuple[Path, Said]]:
    """Folders whose winners were applied on either machine, and what the command said."""
    machines: dict[str, dict[str, Any]] = {"a GPU": {}, "no driver": {"driver": None}}
    folders = {name: run.folder.with_name(name) for name in machines}
    for folder in folders.values():
        shutil.copytree(run.folder, folder)
        (folder / "model.so").unlink()
    commands = [
        Command("apply", str(folders[name]), run.model, environment=simulated(**machine))
        for name, machine in machines.items()
    ]
    with ThreadPoolExecutor() as threads:
        said = threads.map(Command.wait, commands)
        return {name: (folders[name], one) for name, one in zip(machines, said, strict=True)}


@pytest.mark.parametrize(
    ("machine", "status", "sentence"),
    [
        ("no driver", 3, "not verified, as there is no device here to run it on."),
        ("a GPU", 0, "verified against ONNX Runtime"),
    ],
)
def test_its_winners_are_applied(
    applied: dict[str, tuple[Path, Said]], machine: str, status: int, sentence: str
) -> None:
    folder, (code, out, err) = applied[machine]
    assert (code, err) == (status, "")
    assert sentence in out
    assert b"__global__" not in (folder / "model.so").read_bytes()
    assert ("CUDA graphs" in out) == (status == 0)


def test_it_is_timed_where_there_is_a_gpu_only(run: Run) -> None:
    bench = Command("bench", str(run.folder), environment=simulated(driver=None))
    code, _, err = bench.wait()
    assert code == 1
    assert "This machine has no device to time" in err
