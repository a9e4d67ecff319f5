"""The Python interface, in processes of their own: scripts, notebooks, interruptions."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.whole.command import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
INTERRUPTED = """
import asyncio, sys, torch
import chameleon_ray as cr

async def cell():
    example = (torch.rand(1, 3, 32, 32),)
    cr.tune(torch.nn.Conv2d(3, 8, 3), example, minutes=5, out=sys.argv[1], engine="serial",
            explorer="random")

try:
    asyncio.run(cell())
except cr.Stopped as stop:
    print("stopped:", stop)
"""
"""A notebook's cell that the user interrupts."""


def test_a_model_in_memory_is_tuned_and_called(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.whole.in_memory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["verified"] is True
    assert found["inputs"] == ["image: 1x3x16x16 float32", "scale: 1 float32"]
    assert found["layers"] >= 2
    assert found["records"] == 4
    assert "<td>verified (torch)</td>" in found["html"]
    assert found["error"] < 1e-5
    assert found["strided"] < 1e-5
    assert found["threads"] == 0
    saved = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert saved == ["model.so", "report.html", "run.json", "summary.json", "winners.json"]


def test_an_interrupted_cell_ends_the_session(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", INTERRUPTED, str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "searching" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert f"measurements are kept in {out}" in said, said
    assert "--resume" in said
