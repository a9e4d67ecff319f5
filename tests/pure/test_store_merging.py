"""Entries that say the same: a measurement counts once, and no copy of it undoes a merging."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from chameleon_ray.api.run_entries import _entry
from chameleon_ray.api.storage import collected, exported, imported, stored
from chameleon_ray.errors import UserError
from chameleon_ray.record import Status
from chameleon_ray.store.collection import collect
from chameleon_ray.store.entry import Chosen, Effort, Entry
from chameleon_ray.store.knowledge import known_of
from chameleon_ray.store.merging import AS_BEFORE, joined, uncovered
from chameleon_ray.store.place import Place, default_folder
from chameleon_ray.store.store import VARIABLE, Store
from tests.pure.store_entries import HERE, OPTIONS, TASK, entry

SPENT = Effort(2.0, 8.0)


class Far(MemoryFileSystem):
    """Objects of another machine, as fsspec has them: neither a folder nor this process's own."""

    protocol = "far"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty store, which has the user's own folder in front of it."""
    monkeypatch.setitem(_registry, "far", Far)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    Far.store.clear()
    yield "far://team"
    Far.store.clear()


def own() -> Store:
    return Store([Place(default_folder(), 5.0)], OPTIONS, print)


def of(url: str) -> Store:
    return Store([Place(url, 5.0)], OPTIONS, print)


def test_what_is_exported_to_a_url_arrives_there(far: str) -> None:
    own().publish([entry(), entry(seed=1)])
    assert exported(None, far, print) == 2
    assert len(of(far).entry_keys()) == 2
    assert exported(None, far, print) == 0


def test_a_command_on_a_url_leaves_the_user_s_folder_alone(far: str, tmp_path: Path) -> None:
    own().publish([entry()])
    of(far).publish([entry(seed=1)])
    assert len(stored(far, print)) == 1
    assert imported(str(tmp_path / "third"), far, print) == 1
    assert collected(far, 0.0, print).old == 1
    assert len(own().entry_keys()) == 1


@pytest.mark.parametrize("act", [stored, lambda name, tell: collected(name, None, tell)])
def test_a_folder_that_is_not_there_is_no_empty_store(act: Callable, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no store .*/nowhere; check the path"):
        act(str(tmp_path / "nowhere"), print)


def test_a_measurement_in_two_entries_counts_once() -> None:
    first, second = entry(effort=SPENT), entry(seed=1, effort=SPENT)
    both = joined([first, second], OPTIONS)
    known = known_of(TASK, [first, both, second, both], HERE, OPTIONS)
    assert known.effort == both.effort == Effort(4.0, 16.0)
    assert joined([first, second, both], OPTIONS).effort == both.effort
    assert uncovered([first, both, second], OPTIONS) == [both]


def test_a_copy_is_no_second_timing() -> None:
    one = entry(count=1)
    noisy = replace(one.records[-1], conditions=json.dumps({"disturbed": 0.5}))
    assert noisy.latencies
    doubted = replace(one, records=(noisy,))
    copy = replace(doubted, records=(replace(noisy, finished=0.0, build_seconds=9.0),))
    again = replace(doubted, records=(replace(noisy, latencies=(noisy.latency * 1.1,)),))
    assert known_of(TASK, [doubted, copy], HERE, OPTIONS).doubtful == (noisy.config,)
    assert known_of(TASK, [doubted, again], HERE, OPTIONS).doubtful == ()


def test_a_winner_alone_is_superfluous_once_it_is_merged() -> None:
    large, won = entry(), entry(records=(), chosen=Chosen((0, 0), 0.1, 0.2))
    assert uncovered([large, won], OPTIONS) == [large, won]
    assert uncovered([joined([large, won], OPTIONS), won], OPTIONS) == [
        joined([large, won], OPTIONS)
    ]


def test_effort_counts_once_where_the_only_winner_was_wrong() -> None:
    one = with_winner(1, 0.0, 0, effort=SPENT)
    assert one.chosen is not None
    wrong = replace(one.records[1], status=Status.WRONG_ANSWER, latencies=())
    other = entry(records=(wrong,))
    both = joined([one, other], OPTIONS)
    assert both.chosen is None
    assert joined([one, other, both], OPTIONS).effort == SPENT


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_run_s_winner_is_as_disturbed_as_its_records(share: float) -> None:
    record = replace(entry().records[1], conditions=json.dumps({"disturbed": share}))
    identity = {"layers": {TASK.digest: "a"}, "spaces": {TASK.digest: "b"}, "device": "toy"}
    made = _entry(
        {**identity, "target": TASK.target}, TASK.digest, [record], SPENT, (record.config, 0.1)
    )
    assert made.chosen is not None
    assert made.chosen.disturbed == share


def with_winner(index: int, disturbed: float, seed: int, **fields: object) -> Entry:
    one = entry(seed, **fields)
    record = one.records[index]
    return replace(one, chosen=Chosen(record.config, record.latency, 0.1, disturbed))


@pytest.mark.parametrize("fault", ["wrong", "disturbed"])
def test_merging_keeps_what_was_known(fault: str, tmp_path: Path) -> None:
    """The fastest winner was found wrong by another run, or its final timing was disturbed."""
    first = with_winner(1, 1.0 if fault == "disturbed" else 0.0, 0, ended=AS_BEFORE)
    second = with_winner(2, 0.0, 1, ended="no more to find")
    assert first.chosen is not None
    assert second.chosen is not None
    first = replace(first, chosen=replace(first.chosen, latency=second.chosen.latency / 2))
    if fault == "wrong":
        wrong = replace(second.records[1], config=first.chosen.config, latencies=())
        wrong = replace(wrong, status=Status.WRONG_ANSWER)
        second = replace(second, records=(*second.records, wrong))
    before = known_of(TASK, [first, second], HERE, OPTIONS)
    store = of(str(tmp_path))
    store.publish([first, second])
    assert collect(store, 1.0).merged == 2
    after = known_of(TASK, store.entries(store.entry_keys()), HERE, OPTIONS)
    assert (after.chosen, after.ended, after.effort) == (
        before.chosen,
        before.ended,
        before.effort,
    )
    assert after.chosen == second.chosen
    assert after.ended == "no more to find"


def test_parts_of_a_merged_entry_do_not_come_back(far: str) -> None:
    """Another user's folder still has the parts when garbage was collected afar."""
    of(far).publish([entry(), entry(seed=1)])
    places = [Place(default_folder(), 5.0), Place(far, 5.0)]
    both = Store(places, OPTIONS, print)
    both.entries(both.entry_keys())  # is kept in the folder, too
    assert collect(of(far), 1.0).merged == 2
    own().publish([entry(seed=2)])  # which the far place lacks
    again = Store(places, OPTIONS, print)
    keys = again.entry_keys()
    assert len(again.entries(keys)) == 4
    again.level(keys)
    assert len(of(far).entry_keys()) == 2


def test_a_merged_entry_that_could_not_be_read_replaces_nothing(tmp_path: Path) -> None:
    store = of(str(tmp_path))
    store.publish([entry(), entry(seed=1)])
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.parquet")]
    tight = replace(OPTIONS, most_bytes=max(sizes))
    assert collect(Store(store.places, tight, print), 1.0).merged == 0
    assert len(store.entry_keys()) == 2


def test_a_file_larger_than_any_entry_is_not_read(tmp_path: Path) -> None:
    told = list[str]()
    of(str(tmp_path)).publish([entry()])
    tight = replace(OPTIONS, most_bytes=100)
    store = Store([Place(str(tmp_path), 5.0)], tight, told.append)
    keys = store.entry_keys()
    assert store.entries(keys) == []
    assert store.refused == keys
    assert "is larger than an entry may be" in told[0]
    assert store.entries(store.entry_keys()) == []
    assert len(told) == 1


def test_a_near_file_that_is_too_large_leaves_the_far_one(tmp_path: Path) -> None:
    near, far = Place(str(tmp_path / "near"), 5.0), Place(str(tmp_path / "far"), 5.0)
    of(far.name).publish([entry()])
    (key,) = of(far.name).entry_keys()
    near.write(key.name, b"0" * OPTIONS.most_bytes + b"0")
    store = Store([near, far], OPTIONS, print)
    assert store.entries(store.entry_keys()) == [entry()]
