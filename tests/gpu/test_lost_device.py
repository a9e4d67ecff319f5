"""A pool of runners of two simulated GPUs, of which one is lost in mid-run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.gpu.conftest import ROOT, simulated

PROGRAM = ROOT / "tests/gpu/lost_device.py"


def test_work_goes_on_on_the_other_gpu_and_the_lost_ones_runner_is_given_up(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    environment = {**os.environ, **simulated(devices=2, lost=lost)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(lost)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["statuses"] == {"ok": 25}
    replaced, given_up = found["said"]
    assert re.match(r"Runner \d was lost and is replaced", replaced)
    assert "NVIDIA H100 80GB HBM3 cannot be used: TVM sees no GPU on this machine: " in replaced
    assert re.match(
        r"Runner \d is given up, which leaves 1 runner: CUDA_VISIBLE_DEVICES is", given_up
    )
