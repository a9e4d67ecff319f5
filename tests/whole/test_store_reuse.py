"""The store by the real command: other models, a zoo with a hub, and ``apply``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chameleon_ray.record import own
from chameleon_ray.store.store import VARIABLE
from tests.whole.calm_store import calmed, opened, store_of
from tests.whole.command import ROOT, SERIAL, chameleon, records, tuned
from tests.whole.onnx_net import dense_layers

ZOO = """
models:
  - model: {dense}
    name: dense
  - model: {turned}
    name: turned
explorer: random
trials: 20
"""


def notes(run: Path) -> str:
    """What a command said of the store."""
    return (run / "log.jsonl").read_text()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Networks with the same two layers, one of which that of the fixture ``dense``."""
    folder = tmp_path_factory.mktemp("nets")
    widths = {"deep": (64, 192, 64), "turned": (192, 64, 192)}
    return {name: dense_layers(folder / f"{name}.onnx", *sizes) for name, sizes in widths.items()}


@pytest.fixture(scope="module")
def shared(
    serial: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A store with both layers, and the run that measured the second one."""
    folder = tmp_path_factory.mktemp("shared")
    store = store_of(serial, folder / "store")
    words = (*SERIAL, "--trials", "20", "--store", str(store))
    deep = tuned(folder / "deep", models["deep"], *words, "--only", "*matmul*")
    calmed(store)
    return store, deep


def test_what_another_model_measured_is_not_measured_again(
    shared: tuple[Path, Path], serial: Path
) -> None:
    store, deep = shared
    known = {record.task for record in records(serial)}
    made = {record.task for record in own(records(deep))}
    assert known & made == set()
    assert len(made) == 1
    assert "1 of 2 layers known, 1 to tune." in notes(deep)
    assert "--only: 2 of 2 layers to tune" in notes(deep)
    assert {key.task for key in opened(store).entry_keys()} == known | made


def test_a_zoo_of_the_layers_of_a_hub_measures_nothing(
    shared: tuple[Path, Path], dense: str, models: dict[str, str], tmp_path: Path
) -> None:
    file, zoo, site = tmp_path / "zoo.yaml", tmp_path / "zoo", installed(shared[0], tmp_path)
    file.write_text(ZOO.format(dense=dense, turned=models["turned"]))
    code, _, err = chameleon(
        *("zoo", str(file), *SERIAL[:2], "--out", str(zoo)),
        environment={"PYTHONPATH": str(site), VARIABLE: str(tmp_path / "own")},
    )
    assert code == 0, err
    assert "2 of 2 layers known, 0 to tune." in notes(zoo)
    assert own(records(zoo)) == []
    for name in ("dense", "turned"):
        summary = json.loads((zoo / "models" / name / "summary.json").read_text())
        assert summary["verified"]["ok"]


def test_a_zoo_times_the_store_s_winners_again(
    shared: tuple[Path, Path], dense: str, models: dict[str, str], tmp_path: Path
) -> None:
    file, zoo, store = tmp_path / "zoo.yaml", tmp_path / "zoo", tmp_path / "store"
    file.write_text(ZOO.format(dense=dense, turned=models["turned"]))
    shutil.copytree(shared[0], store)
    words = (*SERIAL[:2], "--out", str(zoo), "--store", str(store), "--refresh")
    code, _, err = chameleon("zoo", str(file), *words)
    assert code == 0, err
    assert "2 of 2 layers to be timed again." in notes(zoo)
    again = {record.task for record in own(records(zoo))}
    assert again == {key.task for key in opened(store).entry_keys()}


def installed(store: Path, folder: Path) -> Path:
    """Makes the hub's wheel of a store, and installs it into a directory."""
    hub, site = folder / "hub", folder / "site"
    shutil.copytree(ROOT / "hub", hub)
    made = [sys.executable, str(ROOT / "scripts" / "hub.py"), "--hub", str(hub)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*made, "make", str(store)], check=True, cwd=folder, env=environment)
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "--wheel-dir", str(folder), str(hub)], check=True)
    shutil.unpack_archive(next(folder.glob("*.whl")), site, "zip")
    return site


def test_apply_has_the_store_s_layers(
    shared: tuple[Path, Path], serial: Path, models: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(serial, run)
    code, out, err = chameleon(
        *("apply", str(run), models["deep"]), environment={VARIABLE: os.fspath(shared[0])}
    )
    assert code == 0, err
    store, made = opened(shared[0]), {record.task for record in own(records(shared[1]))}
    entries = store.entries(key for key in store.entry_keys() if key.task in made)
    chosen = [entry.chosen.config for entry in entries if entry.chosen]
    assert f"{1 + sum(map(bool, chosen))} of 2 layers tuned" in out
