"""The Python interface, in processes of their own: scripts, notebooks, interruptions."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.whole.command import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
INTERRUPTED = """
import asyncio, sys, torch
import chameleon_ray as cr

async def cell():
    example = (torch.rand(1, 3, 32, 32),)
    cr.tune(torch.nn.Conv2d(3, 8, 3), example, minutes=5, out=sys.argv[1], engine="serial",
            explorer="random", compare=())

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
    assert found["as it comes"] < 1e-5
    assert found["threads"] == 0
    for error, scheduled, loops in found["by TVM"]:
        assert error < 1e-5
        assert scheduled
        assert set(scheduled) < set(loops)
    saved = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert saved == ["model.so", "report.html", "run.json", "summary.json", "winners.json"]


def test_several_models_are_tuned_together_and_what_fails_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.whole.in_memory", str(tmp_path), "several"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tuned"] == ["net"]
    assert found["error"] < 1e-5
    (told,) = [text for text in found["told"] if text.startswith("random: ")]
    assert "draws random numbers" in told
    assert found["refused"] == [
        "There is no model 'other' to weigh; there are net, random.",
        "Inputs are one model's; give a model and its example inputs as a pair.",
    ]
    # the widest moment: the first convolution's output beside the second one's, 14x14 and 12x12
    least = 4 * 8 * (14 * 14 + 12 * 12)
    assert found["peaks"] == dict.fromkeys(("model_order", "scheduled", "rewritten"), least)


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


CELLS = (
    "import torch, chameleon_ray as cr",
    """net, image = torch.nn.Conv2d(3, 8, 3), torch.rand(1, 3, 16, 16)
model = cr.tune(net, image, trials=4, out="run", engine="serial", explorer="random")
model""",
    "float((model(image) - net(image)).abs().max())",
    """table = cr.records("run").to_pandas()
best = table.latencies.map(min).cummin()
[len(best), bool(best.is_monotonic_decreasing)]""",
)
"""What a notebook's user writes."""


def test_a_notebook_tunes_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the kernel has this process's environment
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": tmp_path}}).execute()
    _, tuned, error, curve = (cell.outputs for cell in notebook.cells)
    progress = "".join(one.text for one in tuned if one.output_type == "stream")
    assert "searching" in progress
    assert "<td>verified (torch)</td>" in tuned[-1].data["text/html"]
    assert float(error[-1].data["text/plain"]) < 1e-5
    assert curve[-1].data["text/plain"] == "[4, True]"
