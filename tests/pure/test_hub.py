"""The hub: made of stores, checked, found where it is installed, and never written."""

import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from chameleon_ray.api.session_model import circumstances_of
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.store.collection import collect
from chameleon_ray.store.entry import Chosen, Effort, Entry
from chameleon_ray.store.key import Circumstances
from chameleon_ray.store.knowledge import known_of
from chameleon_ray.store.place import Place
from chameleon_ray.store.store import Store, open_store
from tests.pure.store_entries import OPTIONS, TASK, entry

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from hub import checked, made, shortened  # noqa: E402

POINTS = "[chameleon_ray.stores]\nhub = chameleon_ray_hub\n"


def now(seed: int = 0, **fields: object) -> Entry:
    """An entry of this very version."""
    return entry(seed, circumstances=circumstances_of("toy", TASK.target), **fields)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of a hub that is installed."""
    site = tmp_path / "site"
    info, package = site / "chameleon_ray_hub-0.1.0.dist-info", site / "chameleon_ray_hub"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(POINTS)
    (info / "METADATA").write_text("Name: chameleon-ray-hub\nVersion: 0.1.0\n")
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "store").mkdir()
    monkeypatch.syspath_prepend(str(site))
    return package / "store"


def opened(folder: Path) -> Store:
    return Store([Place(str(folder), 5.0)], OPTIONS, print)


def test_a_hub_is_read_and_never_written(installed: Path, tmp_path: Path) -> None:
    opened(installed).publish([entry()])
    before = sorted(installed.rglob("*"))
    store = open_store(str(tmp_path / "own"), OPTIONS, installed=True)
    assert store is not None
    assert store.name == str(tmp_path / "own")
    keys = store.entry_keys()
    assert not store.keeps(keys)
    assert store.entries(keys) == [entry()]
    assert store.installed == {entry().task}
    store.publish([entry(), entry(seed=1)])
    store.level(keys)
    collect(store, 0.0)
    store.remove(store.entry_keys())
    assert sorted(installed.rglob("*")) == before
    assert store.entries(store.entry_keys()) == [entry()]
    assert not list((tmp_path / "own").rglob("*.parquet"))


def test_commands_on_stores_leave_hubs_alone(installed: Path, tmp_path: Path) -> None:
    opened(installed).publish([entry()])
    store = open_store(str(tmp_path / "own"), OPTIONS)
    assert store is not None
    assert store.entry_keys() == []


def test_a_hub_that_is_broken_is_none(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.rmdir()
    store = open_store(str(tmp_path / "own"), OPTIONS, installed=True)
    assert store is not None
    assert len(store.places) == 1


def test_a_hub_is_made_of_what_is_of_this_version(tmp_path: Path) -> None:
    source, hub = tmp_path / "source", tmp_path / "hub"
    won = Chosen(now(count=40).records[7].config, 1e-3, 2e-3)
    opened(source).publish([now(count=40, chosen=won, ended="done"), now(seed=1, count=40)])
    opened(source).publish([entry(circumstances=Circumstances("toy", {"apache-tvm": "0"}))])
    hub.mkdir()
    (hub / "old").write_text("an older hub's")
    assert made([str(source)], hub, 16).startswith("1 layers, 0.0")
    assert checked(hub, 5e6) == []
    store = opened(hub)
    (found,) = store.entries(store.entry_keys())
    assert (found.chosen, found.ended) == (won, "done")
    assert 8 < len(found.records) <= 16
    assert {DEFAULT, won.config} <= {record.config for record in found.records}
    best = min(now(count=40).records + now(seed=1, count=40).records, key=lambda r: r.latency)
    assert best.config in {record.config for record in found.records}


def test_what_is_wrong_with_a_hub_is_told(tmp_path: Path) -> None:
    opened(tmp_path).publish([entry(circumstances=Circumstances("toy", {"apache-tvm": "0"}))])
    assert checked(tmp_path, 5e6) == [f"{TASK.name} is of another version."]
    opened(tmp_path).publish([now()])
    next(tmp_path.rglob("*.parquet")).write_bytes(b"torn")
    faults = checked(tmp_path, 100.0)
    assert any("is damaged" in fault for fault in faults)
    assert "are allowed" in faults[-1]


def test_who_has_the_hub_need_not_search_a_layer_that_ran_there() -> None:
    known = known_of(TASK, [shortened(now(), 48)], now().circumstances, OPTIONS)
    assert known.suffices(Effort(inf, inf), 1000, OPTIONS)
    failed = tuple(replace(record, status=Status.CRASH, latencies=()) for record in now().records)
    assert not shortened(replace(now(), records=failed), 48).ended


def test_a_small_entry_stays_as_it_is() -> None:
    assert set(shortened(now(), 48).records) == set(now().records)
