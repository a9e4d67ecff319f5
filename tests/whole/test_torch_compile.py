"""Torch's backend ``chameleon``: tuned once, loaded by the next process, right in every case."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.whole.command import ROOT


def compiled(cache: Path, *arguments: str) -> dict[str, Any]:
    """What ``tests.whole.compiled_graphs`` found out in a process of its own."""
    command = [sys.executable, "-m", "tests.whole.compiled_graphs", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def demand_right(found: dict[str, Any]) -> None:
    assert max(found["error"], found["other image"], found["other weights"]) < 1e-5
    assert found["gradient"] is True
    right, told = found["in place"]
    assert right is True
    assert told == [
        "A graph is computed by torch: it changes one of its inputs or buffers in place."
    ]
    device, told = found["elsewhere"]
    assert device == "meta"
    assert told == [
        "A graph is computed by torch: its tensors are on meta, and its target is for cpu."
    ]
    assert found["training"] == ["chameleon compiles inference only: use torch.no_grad()."] * 2


def test_graphs_are_tuned_once(tmp_path: Path) -> None:
    found = compiled(tmp_path, "3")
    demand_right(found)
    assert found["told"] == []
    graphs = tmp_path / "chameleon_ray" / "graphs"
    libraries = {path: path.stat().st_mtime_ns for path in graphs.glob("*/model.so")}
    assert len(libraries) == 2
    waits, _ = graphs.iterdir()
    (waits / "model.so").unlink()
    found = compiled(tmp_path)
    demand_right(found)
    assert found["told"] == [
        "A graph is not tuned yet, and computed by torch; chameleon pending tunes it."
    ]
    assert {path.name for path in waits.iterdir()} >= {"graph.pt2", "options.json"}
    kept = {path: path.stat().st_mtime_ns for path in graphs.glob("*/model.so")}
    assert kept.items() < libraries.items()
