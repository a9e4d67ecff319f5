"""A session and the store: what is known is not searched, what is new is kept, for toy layers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, cast

import pytest

from chameleon_ray.api.asked_layers import left_out
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.known_enough import SETTLED, KnownEnough, told
from chameleon_ray.api.run_entries import entries_of
from chameleon_ray.api.session_model import SessionModel, circumstances_of
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.api.stored_layers import StoredLayers
from chameleon_ray.folder import SAME, RunFolder
from chameleon_ray.merging import merged
from chameleon_ray.options import Request, Search, Storing, Transferring
from chameleon_ray.record import DEFAULT, Record, Status, own
from chameleon_ray.report.progress import Progress
from chameleon_ray.store.entry import Chosen, Entry
from chameleon_ray.store.knowledge import Known
from chameleon_ray.store.store import Store, open_store
from chameleon_ray.task import Task
from chameleon_ray.transfer import Transfer
from chameleon_ray.winners import LEFT_OUT, Earlier, Winner
from tests.pure import toys
from tests.pure.test_transfer import records_of

TASKS = [toys.task("convolution-1"), toys.task("convolution-2"), toys.task("sketched-1")]


class Group:
    """A group of toy devices, which has all layers."""

    def __init__(self, tasks: Sequence[Task], device: str = "toy") -> None:
        request, folder = Request("net", target=tasks[0].target), cast(RunFolder, None)
        self.tasks, self.device = tasks, device
        self.models = [SessionModel(request, folder, device=device)]

    def digests(self, prepared: Any) -> set[str]:
        return {task.digest for task in self.tasks}


class Session:
    """What a session has of a store, in a directory of its own."""

    def __init__(
        self,
        path: Path,
        store: str | None,
        tasks: Sequence[Task] = TASKS,
        trials: int = 30,
        earlier: Sequence[Entry] = (),
        device: str = "toy",
        resume: bool = False,
        **options: Any,
    ) -> None:
        request = Request("net", trials=trials, **options)
        self.folder = RunFolder(path, existing=resume)
        self.folder.identify(dict.fromkeys(SAME, "") | {"spaces": {}})
        self.tasks, self.progress = tasks, Progress()
        self.transfer = Transfer(Transferring())
        opened = open_store(store, Storing(patience=5.0)) if store else None
        setup = Setup(None, Search(), (0,), (0,), self.transfer, opened, tuple(earlier))  # type: ignore[arg-type]
        site = Site(request, self.folder, [SessionModel(request, self.folder)], ["tune", "net"])
        groups: list[Any] = [Group(tasks, device)]
        self.stored = StoredLayers(site, setup, groups, self.progress)
        layers = merged([(1, tasks)])
        out = left_out(request.only, tasks)
        self.imported = self.stored.recall(
            Imported({}, layers, self.folder.database.read(), settled=out)
        )

    def search(self, count: int = 10, stop: bool = False) -> list[Record]:
        """Measures so many configurations of layers that are not settled, and keeps them."""
        left = [task for task in self.tasks if task.digest not in self.imported.settled]
        number = len(self.folder.database.read())
        try:
            with self.stored.keeping(self.imported):
                for task in left:
                    made = [replace(records_of(task, 1)[0], config=DEFAULT, values="{}")]
                    made += records_of(task, count - 1)
                    made = [replace(r, sequence=number + n) for n, r in enumerate(made)]
                    self.folder.database.append(made)
                    number += len(made)
                    if stop:
                        raise KeyboardInterrupt
                best = [(t.digest, records_of(t, 1)[0].config, 1e-3, 2e-3) for t in self.tasks]
                self.stored.winners = {known[0]: Winner(*known) for known in best}
        finally:
            self.folder.close()
        return own(self.folder.database.read())


@pytest.mark.parametrize("place", ["{}/store", "memory://{}"])
def test_the_second_time_nothing_is_left_to_search(place: str, tmp_path: Path) -> None:
    store = place.format(tmp_path)
    first = Session(tmp_path / "a", store)
    assert first.imported.settled == {}
    assert first.progress.notes == [
        f"Tuned layers are kept in {store}; --store none ends that.",
        "0 of 3 layers known, 3 to tune.",
    ]
    made = first.search()
    second = Session(tmp_path / "b", store)
    assert second.progress.notes == ["3 of 3 layers known, 0 to tune."]
    assert second.imported.settled == {task.digest: SETTLED for task in TASKS}
    assert second.imported.earlier[TASKS[0].digest] == Earlier(
        records_of(TASKS[0], 1)[0].config, settled=True
    )
    taken = second.folder.database.read()
    assert [(r.task, r.config) for r in taken] == [(r.task, r.config) for r in made]
    assert {r.origin for r in taken} == {"store"}
    assert second.search() == []
    opened = open_store(store, Storing())
    assert opened is not None
    assert len(opened.entry_keys()) == 3
    opened.remove(opened.entry_keys())


def test_what_a_hub_has_is_told(tmp_path: Path) -> None:
    known, installed = {task.digest: Known() for task in TASKS}, {TASKS[0].digest}
    assert told(TASKS, known, KnownEnough(), False, installed) == (
        "0 of 3 layers known, 3 to tune. An installed hub has entries of 1 layer."
    )


def test_another_model_tunes_what_is_new_only(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    Session(tmp_path / "a", store, TASKS[:2], trials=20).search()
    other = Session(tmp_path / "b", store)
    assert other.progress.notes == ["2 of 3 layers known, 1 to tune."]
    assert {record.task for record in other.search()} == {TASKS[2].digest}
    assert Session(tmp_path / "c", store).progress.notes == ["3 of 3 layers known, 0 to tune."]


def test_the_kind_s_entries_teach_a_new_layer(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    Session(tmp_path / "a", store, TASKS[:1]).search()
    other = Session(tmp_path / "b", store, TASKS[1:2])
    assert other.imported.settled == {}
    assert other.transfer.lessons(TASKS[1]) is not None


def test_who_asks_for_more_gets_more(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    Session(tmp_path / "a", store, trials=30).search()
    more = Session(tmp_path / "b", store, trials=300)
    assert more.imported.settled == {}
    assert more.progress.notes == ["0 of 3 layers known, 3 to tune, 3 of them known in part."]
    assert len(own(more.imported.records)) == 0
    assert len(more.imported.records) == 30


def test_an_interrupted_session_gives_what_it_has(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        Session(tmp_path / "a", store).search(stop=True)
    again = Session(tmp_path / "b", store)
    assert {record.task for record in again.imported.records} == {TASKS[0].digest}
    resumed = Session(tmp_path / "a", store, resume=True)
    assert resumed.imported.settled == {}
    assert len(resumed.imported.records) == 10


def test_another_device_s_winners_are_timed_first(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    Session(tmp_path / "a", store, TASKS[:1]).search()
    other = Session(tmp_path / "b", store, TASKS[:1], device="another")
    known = other.imported.known[TASKS[0].digest]
    assert known.candidates[0] == records_of(TASKS[0], 1)[0].config
    assert other.imported.records == []
    assert other.progress.notes == [
        "0 of 1 layer known, 1 to tune, 1 of them with candidates to time first."
    ]


def test_an_equal_layer_of_a_warm_start_is_measured(tmp_path: Path) -> None:
    made = Session(tmp_path / "a", None, TASKS[:1])
    made.search()
    identity = {
        "schema": 2,
        "layers": {TASKS[0].digest: TASKS[0].name},
        "spaces": {TASKS[0].digest: TASKS[0].space.digest},
        "target": TASKS[0].target,
        "device": "toy",
        "circumstances": {
            "device": "toy",
            "versions": circumstances_of("toy", TASKS[0].target).versions,
        },
    }

    (tmp_path / "a" / "run.json").write_text(json.dumps(identity))
    entries = entries_of(tmp_path / "a")
    assert [len(entry.records) for entry in entries] == [10]
    warm = Session(tmp_path / "b", None, trials=30, earlier=entries)
    assert warm.imported.settled == {TASKS[0].digest: SETTLED}
    assert warm.progress.notes == ["1 of 3 layers known, 2 to tune."]


def test_lowerings_are_one_layer_and_the_fastest_that_won_is_kept(tmp_path: Path) -> None:
    store, first = str(tmp_path / "store"), TASKS[0]
    tasks = [first, replace(TASKS[1], instead=first.digest), TASKS[2]]
    session = Session(tmp_path / "a", store, tasks)
    assert session.progress.notes[-1] == "0 of 2 layers known, 2 to tune."
    won = Winner(tasks[1].digest, records_of(tasks[1], 1)[0].config, 1e-3, inf)
    with session.stored.keeping(session.imported):
        for number, task in enumerate(tasks):
            made = records_of(task, 10)
            session.folder.database.append(
                [replace(r, sequence=10 * number + n) for n, r in enumerate(made)]
            )
        session.stored.winners = {first.digest: won}
    again = Session(tmp_path / "b", store, tasks)
    assert again.progress.notes == ["2 of 2 layers known, 0 to tune."]
    assert again.imported.earlier == {won.task: Earlier(won.config, settled=True)}


@pytest.mark.parametrize(
    ("ended", "known"),
    [("direct is infinitely as fast", True), ("its search failed: why", False)],
)
def test_a_lowering_that_never_worked_is_not_tried_again(
    ended: str, known: bool, tmp_path: Path
) -> None:
    store, first = str(tmp_path / "store"), TASKS[0]
    tasks = [first, replace(TASKS[1], instead=first.digest)]
    session = Session(tmp_path / "a", store, tasks)
    session.progress.began(tasks, None, None)
    session.progress.finished(tasks[1].digest, ended)
    failed = [
        replace(r, status=Status.CRASH, latencies=(), sequence=10 + n)
        for n, r in enumerate(records_of(tasks[1], 3))
    ]
    with session.stored.keeping(session.imported):
        session.folder.database.append(records_of(first, 10))
        session.folder.database.append(failed)
    again = Session(tmp_path / "b", store, tasks)
    assert (tasks[1].digest in again.imported.settled) == known


def test_a_store_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    session = Session(tmp_path / "a", str(tmp_path / "file" / "store"))
    assert session.progress.notes[0] == (
        f"The store {tmp_path}/file/store cannot be written: Not a directory. "
        "What this command measures is not kept in it."
    )
    assert len(session.search()) == 30
    assert not any("cannot be written" in note for note in session.progress.notes[1:])


def test_an_impossible_entry_is_a_miss_and_a_sentence(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    task = TASKS[0]
    bad = Record(task.digest, task.target, "toy", (10**6,), "{}", Status.OK, (1e-9,))
    circumstances = circumstances_of("toy", task.target)
    opened = open_store(store, Storing())
    assert isinstance(opened, Store)
    opened.publish(
        [Entry(task.name, "", task.digest, task.target, task.space.digest, circumstances, (bad,))]
    )
    session = Session(tmp_path / "a", store)
    assert session.imported.records == []
    assert "has a configuration that its design space lacks" in session.progress.notes[0]


def test_layers_that_are_left_out_keep_what_is_known(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    Session(tmp_path / "a", store, TASKS[:2], trials=20).search()
    some = Session(tmp_path / "b", store, trials=300, only=(TASKS[2].name,))
    assert some.progress.notes == ["0 of 1 layer known, 1 to tune."]
    assert some.imported.settled == {task.digest: LEFT_OUT for task in TASKS[:2]}
    assert {record.task for record in some.imported.records} == {t.digest for t in TASKS[:2]}
    assert {record.task for record in some.search()} == {TASKS[2].digest}


def test_a_winner_without_new_measurements_is_kept_too(tmp_path: Path) -> None:
    store, task = str(tmp_path / "store"), TASKS[0]
    first = Session(tmp_path / "a", store, TASKS[:1], trials=10)
    with first.stored.keeping(first.imported):  # which ends before winners are chosen
        first.folder.database.append(records_of(task, 10))
    first.folder.close()
    resumed = Session(tmp_path / "a", store, TASKS[:1], trials=10, resume=True)
    won = records_of(task, 1)[0].config
    with resumed.stored.keeping(resumed.imported):
        resumed.stored.winners = {task.digest: Winner(task.digest, won, 1e-3, 2e-3)}
    again = Session(tmp_path / "b", store, TASKS[:1], trials=10)
    assert again.imported.known[task.digest].chosen == Chosen(won, 1e-3, 2e-3)
    with again.stored.keeping(again.imported):
        again.stored.winners = {task.digest: Winner(task.digest, won, 1e-3, 2e-3)}
    opened = open_store(store, Storing())
    assert opened is not None
    assert len(opened.entry_keys()) == 2  # and not one for every run that says the same
