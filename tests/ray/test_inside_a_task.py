"""``chameleon_ray.tune`` inside a task of a Ray that already runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_task_tunes_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ray.inside_a_task", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["error"] < 1e-5
    assert found["layers"] >= 1
    assert found["loaded"] == ["image: 1x3x16x16 float32"]
    assert found["Ray goes on"] == 42
