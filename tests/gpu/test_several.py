"""Several simulated GPUs on two nodes: who has which, and what a loss and a silence cost."""

import json
from pathlib import Path
from typing import Any

from chameleon_ray.database import Database
from chameleon_ray.record import Status
from tests.gpu.conftest import simulated
from tests.ray.test_nodes import program
from tests.whole.onnx_net import dense_layers

TRIALS = 12


def seen(*arguments: object) -> dict[str, Any]:
    """What ``several_gpus.py`` saw."""
    simulated()  # or the test is skipped
    done = program("tests/gpu/several_gpus.py", *map(str, arguments))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_actor_has_a_gpu_of_the_model_to_itself(tmp_path: Path) -> None:
    found = seen("pinned", tmp_path)
    assert found["known"] == 8
    assert "leaves out 1 Tesla T4" in found["left_out"]
    assert {name for name, _, _ in found["seen"]} == {"NVIDIA H100 80GB HBM3"}
    assert len({uuid for _, uuid, _ in found["seen"]}) == len(found["seen"]) == 7
    assert {count for _, _, count in found["seen"]} == {1}
    assert 4 < found["devices_worth"] <= 7


def test_a_lost_gpu_and_a_silent_process_cost_no_record(tmp_path: Path) -> None:
    model, out = dense_layers(tmp_path / "dense.onnx", 32, 16, 8), tmp_path / "run"
    found = seen("tuned", tmp_path, model, TRIALS, out)
    assert found["status"] == 0, found["said"]
    assert found["hung"]
    assert found["lost"] == ["0"]
    assert "leaves out 1 Tesla T4" in found["said"]
    assert "Verified: same outputs as ONNX Runtime" in found["said"]
    records = Database(out / "records").read()
    assert len(records) == TRIALS
    assert {record.status for record in records} <= {Status.OK, Status.INVALID}
