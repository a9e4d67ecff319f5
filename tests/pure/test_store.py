"""The store: what is published is found again, and what is known of a layer follows from it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.registry import _registry

from chameleon_ray.api.storage import collected, exported, stored
from chameleon_ray.database import SCHEMA
from chameleon_ray.errors import UserError
from chameleon_ray.record import Record, Status
from chameleon_ray.store.collection import collect, copied
from chameleon_ray.store.entry import Chosen, Effort
from chameleon_ray.store.key import Circumstances, Key
from chameleon_ray.store.knowledge import STORE, demand_fit, known_of
from chameleon_ray.store.place import BATCH, STALE, UNFINISHED, Place, PlaceError, default_folder
from chameleon_ray.store.store import NONE, VARIABLE, Store, open_store
from tests.pure import toys
from tests.pure.store_entries import HERE, OPTIONS, TASK, entry


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, told: list[str]) -> Store:
    return Store([Place(str(tmp_path / "store"), 5.0)], OPTIONS, told.append)


@pytest.mark.parametrize("where", ["folder", "file", "memory"])
def test_what_is_published_is_found_again(where: str, tmp_path: Path, told: list[str]) -> None:
    name = {"folder": f"{tmp_path}/a", "file": f"file://{tmp_path}/b", "memory": "memory://c"}[
        where
    ]
    full = entry(ended="done", effort=Effort(3.0, 9.0), chosen=Chosen((1, 2), 0.5, 1.0))
    Store([Place(name, 5.0)], OPTIONS, told.append).publish([full, entry(seed=1)])
    other = Store([Place(name, 5.0)], OPTIONS, told.append)
    keys = other.entry_keys()
    assert len(keys) == 2
    assert full in other.entries(keys)
    assert other.entry_keys(keys[0].target) == keys
    assert other.entry_keys("elsewhere") == []
    other.remove(keys)
    assert other.entry_keys() == []
    assert told == []


def test_many_files_are_read_in_steps(tmp_path: Path) -> None:
    place = Place(str(tmp_path), 5.0)
    for number in range(2 * BATCH + 1):
        (tmp_path / str(number)).write_bytes(b"%d" % number)
    names = [str(number) for number in range(2 * BATCH + 1)]
    assert place.read([*names, "gone"]) == {name: name.encode() for name in names}
    assert place.read([]) == {}


def test_equal_entries_are_one_file(store: Store) -> None:
    store.publish([entry(), entry()])
    store.publish([entry()])
    assert len(store.entry_keys()) == 1


def test_what_was_removed_can_be_added_again(store: Store) -> None:
    store.publish([entry()])
    store.remove(store.entry_keys())
    store.publish([entry()])
    assert len(store.entry_keys()) == 1


def test_a_url_has_the_user_s_folder_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == "/somewhere/chameleon_ray/store"
    monkeypatch.delenv(VARIABLE)
    opened = open_store(None, OPTIONS)
    assert opened is not None
    assert opened.name == default_folder()
    monkeypatch.setenv(VARIABLE, "memory://x")
    opened = open_store(None, OPTIONS)
    assert opened is not None
    assert [place.fleeting for place in opened.places] == [True]
    assert open_store(NONE, OPTIONS) is None


def test_a_near_place_keeps_what_a_far_one_has(tmp_path: Path, told: list[str]) -> None:
    near, far = (Place(str(tmp_path / name), 5.0) for name in ("near", "far"))
    Store([far], OPTIONS, told.append).publish([entry()])
    Store([near], OPTIONS, told.append).publish([entry(seed=1)])
    both = Store([near, far], OPTIONS, told.append)
    keys = both.entry_keys()
    assert len(both.entries(keys)) == len(keys) == 2
    assert len(Store([near], OPTIONS, told.append).entry_keys()) == 2
    assert len(Store([far], OPTIONS, told.append).entry_keys()) == 1
    both.level(keys)
    assert len(Store([far], OPTIONS, told.append).entry_keys()) == 2
    assert told == []


def test_a_place_that_cannot_be_used_is_a_sentence(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    broken = Place(str(tmp_path / "file" / "store"), 5.0)
    both = Store([broken, Place(str(tmp_path / "good"), 5.0)], OPTIONS, told.append)
    both.publish([entry()])
    assert len(both.entry_keys()) == 1
    assert told == [
        f"The store {tmp_path}/file/store cannot be written: Not a directory. "
        "It is left alone from here on."
    ]
    with pytest.raises(PlaceError, match="cannot be opened"):
        Place("nothing-such://x", 5.0)


def test_commands_on_a_store_that_is_a_file_fail(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    name = str(tmp_path / "file")
    other, sentence = str(tmp_path / "new"), f"The store {name} cannot be read: it is a file"
    for command in (stored, lambda name, tell: exported(name, other, tell)):
        told.clear()
        with pytest.raises(UserError, match=f"The store {name} could not be used as a whole"):
            command(name, told.append)
        assert told == [f"{sentence}, not a folder. It is left alone from here on."]
    with pytest.raises(UserError, match=sentence):
        collected(name, 1.0, told.append)


def test_an_archive_is_a_store_that_is_only_read(tmp_path: Path, told: list[str]) -> None:
    Store([Place(str(tmp_path / "made"), 5.0)], OPTIONS, told.append).publish([entry()])
    file = shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "made")
    near = Place(str(tmp_path / "near"), 5.0)
    both = Store([near, Place(f"zip://::{file}", 5.0)], OPTIONS, told.append)
    both.try_writing()
    assert both.entries(both.entry_keys()) == [entry()]
    assert told == []
    both.publish([entry(seed=1)])
    assert told == [
        f"The store zip://::{file} cannot be written: write() requires mode 'w', 'x', or 'a'. "
        "It is left alone from here on."
    ]
    assert len(Store([near], OPTIONS, told.append).entry_keys()) == 2


class Hanging(fsspec.AbstractFileSystem):
    """A file system that never answers."""

    protocol = "hanging"

    def find(self, *arguments: object, **options: object) -> dict:
        time.sleep(60)
        return {}


def test_a_place_that_hangs_is_given_up_after_a_while(told: list[str]) -> None:
    fsspec.register_implementation("hanging", Hanging, clobber=True)
    try:
        hanging = Store([Place("hanging://x", 0.2)], OPTIONS, told.append)
        assert hanging.entry_keys() == []
    finally:
        _registry.pop("hanging")
    assert told == [
        "The store hanging://x cannot be read: it did not answer in 0.2 s. "
        "It is left alone from here on."
    ]


def test_files_of_others_are_left_alone(store: Store, tmp_path: Path, told: list[str]) -> None:
    store.publish([entry()])
    foreign = tmp_path / "store" / "v1" / "notes.txt"
    foreign.write_text("mine")
    assert len(store.entry_keys()) == len(store.entry_keys()) == 1
    assert len(told) == 1
    assert "1 files that are no entries, such as v1/notes.txt" in told[0]
    collect(store, 0.0)
    assert foreign.exists()
    assert Key.parse("v1/../../etc/passwd") is None


def test_configurations_beyond_the_space_are_refused() -> None:
    beyond = replace(entry().records[1], config=tuple(int(n) for n in TASK.space.dims))
    for records in [
        (beyond,),
        (replace(beyond, config=(0,)),),
        (replace(beyond, config=(-1, 9, 0)),),
    ]:
        with pytest.raises(Exception, match="design space lacks"):
            demand_fit(entry(records=records), TASK)
    demand_fit(entry(records=(replace(beyond, config=(-1, 1, 0)),)), TASK)
    demand_fit(entry(), TASK)


def test_equal_circumstances_are_measurements_others_candidates() -> None:
    best = min(entry().records, key=lambda record: record.latency).config
    elsewhere = entry(circumstances=Circumstances("toy", {"apache-tvm": "2"}))
    same = known_of(TASK, [entry()], HERE, OPTIONS)
    other = known_of(TASK, [elsewhere], HERE, OPTIONS)
    renamed = known_of(TASK, [entry(space="0" * 16)], HERE, OPTIONS)
    assert [record.config for record in same.records] == [r.config for r in entry().records]
    assert {record.origin for record in same.records} == {STORE}
    assert same.candidates == ()
    assert (other.records, renamed.records) == ((), ())
    assert other.candidates == renamed.candidates
    assert other.candidates[0] == best
    assert len(other.candidates) == OPTIONS.candidates
    assert known_of(TASK, [elsewhere, entry()], HERE, OPTIONS).candidates == ()


def test_a_space_is_told_by_its_knobs_names() -> None:
    for task in (TASK, toys.task("sketched-1")):
        for row in task.space.random(np.random.default_rng(0), 20):
            config = tuple(int(n) for n in row)
            values = json.loads(json.dumps(task.space.values(config)))
            assert task.space.config(values) == config
        assert task.space.config({}) is None
        assert task.space.config(values | {task.space.knobs[0].name: "no"}) is None


def test_a_wrong_answer_stays_wrong() -> None:
    bad = min(entry().records, key=lambda record: record.latency)
    found = replace(bad, status=Status.WRONG_ANSWER, latencies=())
    known = known_of(
        TASK,
        [entry(chosen=Chosen(bad.config, bad.latency, 0.1)), entry(records=(found,))],
        HERE,
        OPTIONS,
    )
    assert known.chosen is None
    assert [r.status for r in known.records if r.config == bad.config] == [Status.WRONG_ANSWER]


@pytest.mark.parametrize(
    ("fields", "asked", "enough"),
    [
        ({"ended": "no improvement"}, Effort(1e9, 1e9), True),
        ({"effort": Effort(10, 5)}, Effort(20, np.inf), True),
        ({"effort": Effort(10, 5)}, Effort(21, np.inf), False),
        ({"effort": Effort(10, 5)}, Effort(np.inf, 10), True),
        ({"effort": Effort(10, 5)}, Effort(np.inf, 11), False),
        ({"effort": Effort(0, 0)}, Effort(np.inf, 1), False),
        ({"ended": "it failed", "records": ()}, Effort(1, 1), False),
        ({"effort": Effort(10, 5), "records": entry().records[:4]}, Effort(1, 1), False),
    ],
)
def test_a_layer_is_searched_no_further_where_it_had_enough(
    fields: dict, asked: Effort, enough: bool
) -> None:
    assert known_of(TASK, [entry(**fields)], HERE, OPTIONS).suffices(asked, 4, OPTIONS) is enough


def test_garbage_collection_loses_nothing(store: Store, tmp_path: Path, told: list[str]) -> None:
    entries = [entry(seed, effort=Effort(1.0, 2.0)) for seed in range(4)]
    store.publish([*entries, entry(circumstances=Circumstances("other"))])
    left = next((tmp_path / "store").rglob("*.parquet")).with_name(f"{UNFINISHED}1")
    left.write_bytes(b"half")
    os.utime(left, (1.0, 1.0))
    done = collect(store, 1.0)
    assert dataclasses.astuple(done) == (4, 0, 0, 1)
    assert not left.exists()
    first, second = store.entries(store.entry_keys())
    one = first if first.circumstances == HERE else second
    assert set(one.records) == {record for each in entries for record in each.records}
    assert one.effort == Effort(4.0, 8.0)
    assert collect(store, 1.0).merged == 0
    assert collect(store, 0.0).old == 2
    assert store.entry_keys() == []
    assert told == []
    assert STALE > 3600


def test_entries_are_copied_once(store: Store, tmp_path: Path, told: list[str]) -> None:
    store.publish([entry(seed) for seed in range(3)])
    other = Store([Place(str(tmp_path / "other"), 5.0)], OPTIONS, told.append)
    assert copied(store, other) == 3
    assert copied(store, other) == 0


def test_columns_are_those_of_the_database() -> None:
    assert {field.name for field in dataclasses.fields(Record)} == set(SCHEMA.names)


def test_two_writers_that_are_killed_lose_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/chaos_store.py", str(tmp_path), "--kills", "4"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kills" in done.stdout
