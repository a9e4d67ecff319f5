"""The store by the real command: other models, zoos, ``apply``, and two commands at once."""

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
from tests.whole.command import ROOT, SERIAL, Command, chameleon, records
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
    """Networks of which the first has all layers of the second, and the third none of them."""
    folder = tmp_path_factory.mktemp("nets")
    widths = {"deep": (64, 192, 64), "turned": (192, 64, 192), "other": (48, 80)}
    return {name: dense_layers(folder / f"{name}.onnx", *sizes) for name, sizes in widths.items()}


@pytest.fixture(scope="module")
def shared(
    serial: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A store with a layer, after two commands at once worked with it; the run that has it."""
    folder = tmp_path_factory.mktemp("shared")
    store = store_of(serial, folder / "store")
    words = [*SERIAL, "--trials", "20", "--store", str(store), "--out"]
    both = [Command("tune", models[name], *words, str(folder / name)) for name in ("deep", "other")]
    for command in both:
        code, _, err = command.wait()
        assert code == 0, err
    calmed(store)
    return store, folder / "deep"


def test_two_commands_at_once_lose_nothing(shared: tuple[Path, Path], serial: Path) -> None:
    store, deep = shared
    known = {record.task for record in records(serial)}
    made = {record.task for record in own(records(deep))}
    assert known & made == set()
    assert "1 of 2 layers known, 1 to tune." in notes(deep)
    assert {key.task for key in opened(store).entry_keys()} > known | made
    assert len({key.task for key in opened(store).entry_keys()}) == 3


def test_a_zoo_of_known_layers_measures_nothing(
    shared: tuple[Path, Path], dense: str, models: dict[str, str], tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "store"), "zip", shared[0])
    file, zoo = tmp_path / "zoo.yaml", tmp_path / "zoo"
    file.write_text(ZOO.format(dense=dense, turned=models["turned"]))
    code, _, err = chameleon(
        *("zoo", str(file), *SERIAL[:2], "--store", f"zip://::{archive}", "--out", str(zoo)),
        environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert code == 0, err
    assert "2 of 2 layers known, 0 to tune." in notes(zoo)
    assert own(records(zoo)) == []
    for name in ("dense", "turned"):
        summary = json.loads((zoo / "models" / name / "summary.json").read_text())
        assert summary["verified"]["ok"]
    near = opened(tmp_path / "cache" / "chameleon_ray" / "store")
    assert len({key.task for key in near.entry_keys()}) == 2  # what was read is kept


def test_apply_has_the_store_s_layers(
    shared: tuple[Path, Path], serial: Path, models: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(serial, run)
    code, out, err = chameleon(
        *("apply", str(run), models["deep"]), environment={VARIABLE: os.fspath(shared[0])}
    )
    assert code == 0, err
    store, own = opened(shared[0]), {record.task for record in records(serial)}
    entries = store.entries(store.entry_keys())
    chosen = [
        e.chosen.config for e in entries if e.chosen and e.task not in own and "80" not in e.shape
    ]
    assert f"{1 + sum(map(bool, chosen))} of 2 layers tuned" in out


def test_a_hub_s_layers_are_known_where_it_is_installed(
    shared: tuple[Path, Path], dense: str, tmp_path: Path
) -> None:
    hub, site, run = tmp_path / "hub", tmp_path / "site", tmp_path / "run"
    shutil.copytree(ROOT / "hub", hub)
    made = [sys.executable, str(ROOT / "scripts" / "hub.py"), "--hub", str(hub)]
    subprocess.run([*made, "make", str(shared[0])], check=True, cwd=tmp_path)
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "--wheel-dir", str(tmp_path), str(hub)], check=True)
    shutil.unpack_archive(next(tmp_path.glob("*.whl")), site, "zip")
    code, _, err = chameleon(
        *("tune", dense, *SERIAL, "--trials", "20", "--out", str(run)),
        environment={"PYTHONPATH": str(site), VARIABLE: str(tmp_path / "own")},
    )
    assert code == 0, err
    assert "1 of 1 layer known, 0 to tune." in notes(run)
    assert own(records(run)) == []
