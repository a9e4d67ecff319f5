"""Torch's backend ``chameleon``: tuned once, loaded by the next process, right in every case."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chameleon_ray.store.store import NONE, VARIABLE
from tests.whole.command import ROOT


def compiled(cache: Path, *arguments: str, store: str = NONE) -> dict[str, Any]:
    """What ``tests.whole.compiled_graphs`` found out in a process of its own."""
    command = [sys.executable, "-m", "tests.whole.compiled_graphs", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    environment[VARIABLE] = store
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


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Cache and store of a process that tuned its graphs, and what it found out."""
    folder = tmp_path_factory.mktemp("tuned")
    return folder, compiled(folder / "cache", "12", store=str(folder / "store"))


@pytest.fixture
def store(tuned: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of that store."""
    return Path(shutil.copytree(tuned[0] / "store", tmp_path / "store"))


def test_graphs_are_tuned_once(tuned: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, found = tuned
    demand_right(found)
    assert found["told"] == []
    shutil.copytree(folder / "cache", tmp_path, dirs_exist_ok=True)
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


def test_what_the_store_knows_is_compiled_at_once(store: Path, tmp_path: Path) -> None:
    found = compiled(tmp_path / "fresh", store=str(store))
    demand_right(found)
    assert found["told"] == []
    graphs = sorted((tmp_path / "fresh" / "chameleon_ray" / "graphs").glob("*/"))
    libraries = {path: path.stat().st_mtime_ns for path in graphs[0].parent.glob("*/model.so")}
    assert len(libraries) == 2
    for graph in graphs:
        known = json.loads((graph / "part" / "known.json").read_text())
        assert known["share"] >= 0.99
        assert known["known"] >= 1
        summary = json.loads((graph / "summary.json").read_text())
        assert summary["measurements"]["total"] == 0
        assert summary["verified"]["outcome"] == "verified"
    demand_right(compiled(tmp_path / "fresh", store=str(store)))
    assert libraries == {path: path.stat().st_mtime_ns for path in libraries}


def test_what_the_store_knows_in_part_is_asked_again_when_it_knows_more(
    store: Path, tmp_path: Path
) -> None:
    entries = sorted(store.rglob("*.parquet"))
    left = entries[1:]
    kept = {path: path.read_bytes() for path in left}
    for path in left:
        path.unlink()
    demand_right(compiled(tmp_path / "fresh", store=str(store)))
    files = list((tmp_path / "fresh").rglob("known.json"))
    known = [json.loads(file.read_text()) for file in files]
    assert sum(one["known"] for one in known) == 1
    assert len(list((tmp_path / "fresh").rglob("graphs/*/model.so"))) < 2
    for path, content in kept.items():
        path.write_bytes(content)
    found = compiled(tmp_path / "fresh", store=str(store))
    demand_right(found)
    assert found["told"] == []
    assert len(list((tmp_path / "fresh").rglob("graphs/*/model.so"))) == 2
