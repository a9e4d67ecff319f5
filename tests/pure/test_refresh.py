"""Layers that are timed again: what is as fast as before is not searched, what got worse is."""

import asyncio
import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from chameleon_ray.budget import Budget
from chameleon_ray.options import Budgeting
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.store.merging import AS_BEFORE
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner
from tests.pure import toys
from tests.pure.test_stored_layers import TASKS, Session
from tests.pure.test_transfer import SEARCH, records_of, system

TASK = toys.task("convolution-1")
FIRST, SECOND = (record.config for record in records_of(TASK, 2))


def tuner(task: Task = TASK, before: float | None = 1.0, *suggested: Config) -> Tuner:
    made = Tuner(task, system(), SEARCH, 0)
    made.suggested, made.before = suggested, before
    return made


def timed(task: Task, config: Config, *latencies: float) -> Record:
    return Record(task.digest, "", "toy", config, "{}", Status.OK, latencies)


def budget(*tuners: Tuner) -> Budget:
    return Budget(tuners, Budgeting(worse=0.05), None, None, lambda: 0.0)


@pytest.mark.parametrize(
    ("latencies", "kept"),
    [
        ((0.9,), True),
        ((1.04,), True),
        ((1.06,), False),
        ((1.06, 1.0, 1.2), True),  # whose spread is larger
        ((1.3, 1.3, 1.31), False),
    ],
)
def test_a_layer_is_searched_only_where_it_got_worse(
    latencies: tuple[float, ...], kept: bool
) -> None:
    one = tuner(TASK, 1.0, FIRST, SECOND)
    shared = budget(one)
    assert shared.next() is one
    assert asyncio.run(one.propose()) == [DEFAULT, FIRST, SECOND]
    records = [
        timed(TASK, DEFAULT, 9.0),
        timed(TASK, FIRST, *latencies),
        timed(TASK, SECOND, 7.0),
    ]
    one.observe(records)
    assert shared.settle(one, records) == ({TASK.digest: AS_BEFORE} if kept else {})
    assert shared.open != kept
    if not kept:
        assert shared.next() is one
        assert len(asyncio.run(one.propose())) >= SEARCH.opening


def test_what_is_known_but_disturbed_is_timed_again_and_no_more() -> None:
    one = tuner(TASK, inf, FIRST)
    one.observe([replace(record, origin="store") for record in records_of(TASK, 9)[1:]])
    shared = budget(one)
    assert shared.next() is one
    assert asyncio.run(one.propose()) == [DEFAULT, FIRST]
    records = [timed(TASK, DEFAULT, 9.0), timed(TASK, FIRST, 5.0)]
    one.observe(records)
    assert shared.settle(one, records) == {TASK.digest: AS_BEFORE}


def stored(task: Task, latency: float) -> list[Record]:
    """Records of thirty plans, of which the first one is the best."""
    made = [record.config for record in records_of(task, 31)[1:]]
    return [replace(timed(task, c, latency), origin="store", plan=n) for n, c in enumerate(made)]


def test_a_search_that_had_ended_is_timed_again_where_it_is_in_doubt() -> None:
    sure, one = tuner(TASK, None, FIRST), tuner(TASK, inf, FIRST)
    for each in (sure, one):
        each.observe([timed(TASK, DEFAULT, 9.0), *stored(TASK, 1.0)])
    assert not budget(sure).open
    shared = budget(one)
    assert shared.next() is one
    assert asyncio.run(one.propose()) == [FIRST]
    again = [replace(timed(TASK, FIRST, 5.0), plan=30)]
    one.observe(again)
    assert shared.settle(one, again).keys() == {TASK.digest}
    assert not shared.open


def test_a_lowering_that_is_far_behind_is_timed_again_where_it_is_in_doubt() -> None:
    second = replace(toys.task("convolution-2"), instead=TASK.digest, has_default=False)
    first, other = tuner(TASK, inf), tuner(second, inf, FIRST)
    first.observe([timed(TASK, DEFAULT, 9.0), *stored(TASK, 1.0)])
    other.observe(stored(second, 50.0))
    shared = budget(first, other)
    assert shared.next() is other
    assert asyncio.run(other.propose()) == [FIRST]
    again = [replace(timed(second, FIRST, 50.0), plan=30)]
    other.observe(again)
    assert second.digest in shared.settle(other, again)
    assert not shared.open


def test_a_session_that_goes_on_does_not_time_a_third_time() -> None:
    one = tuner(TASK, 1.0, FIRST)
    one.observe([timed(TASK, DEFAULT, 9.0), timed(TASK, FIRST, 1.0)])
    assert not budget(one).open


def test_lowerings_are_judged_together() -> None:
    second = replace(toys.task("convolution-2"), instead=TASK.digest, has_default=False)
    first, other = tuner(TASK, 1.0), tuner(second, 1.0, FIRST)
    shared = budget(first, other)
    assert {shared.next(), shared.next()} == {first, other}
    assert shared.next() is None
    default = [timed(TASK, DEFAULT, 3.0)]
    first.observe(default)
    assert shared.settle(first, default) == {}
    assert shared.next() is None  # before the other one is timed
    won = [timed(second, FIRST, 1.0)]
    other.observe(won)
    assert shared.settle(other, won) == {TASK.digest: AS_BEFORE, second.digest: AS_BEFORE}


def test_a_lowering_that_is_settled_holds_up_nothing() -> None:
    second = replace(toys.task("convolution-2"), instead=TASK.digest, has_default=False)
    first, other = tuner(TASK, inf, SECOND), tuner(second, inf, FIRST)
    shared = budget(first, other)
    shared.retire(other, "known from the store")
    assert shared.next() is first
    records = [timed(TASK, DEFAULT, 3.0), timed(TASK, SECOND, 2.0)]
    first.observe(records)
    assert shared.settle(first, records) == {TASK.digest: AS_BEFORE}
    assert not shared.open


def test_what_is_refreshed_is_timed_again(tmp_path: Path) -> None:
    store, task = str(tmp_path / "store"), TASKS[0]
    Session(tmp_path / "a", store, TASKS[:1], trials=10).search()
    again = Session(tmp_path / "b", store, TASKS[:2], trials=10, refresh=True)
    assert again.progress.notes == ["1 of 2 layers to be timed again; 1 without a winner to tune."]
    assert again.imported.settled == {}
    assert again.imported.records == []
    assert again.imported.before == {task.digest: 1e-3}
    known = again.imported.known[task.digest]
    right = sorted(records_of(task, 9), key=lambda record: record.latency)
    assert len(known.candidates) == 3
    assert known.candidates[0] == records_of(task, 1)[0].config  # the winner
    assert set(known.candidates[1:]) <= {record.config for record in right[:3]}
    assert again.transfer.lessons(task) is not None  # of its own past


def test_a_refreshed_layer_is_known_as_well_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, task = str(tmp_path / "store"), TASKS[0]
    Session(tmp_path / "a", store, TASKS[:1], trials=30).search(30)
    monkeypatch.setattr("chameleon_ray.api.session_model.CODE", ("numpy",))  # other versions
    again = Session(tmp_path / "b", store, TASKS[:1], trials=30, refresh=True)
    again.progress.began([task], None, None)
    again.progress.finished(task.digest, AS_BEFORE)
    again.search(4)
    assert Session(tmp_path / "c", store, TASKS[:1], trials=30).imported.settled != {}
    assert Session(tmp_path / "d", store, TASKS[:1], trials=90).imported.settled == {}


def test_another_device_s_winners_are_not_compared_with(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    Session(tmp_path / "a", store, TASKS[:1], trials=10).search()
    other = Session(tmp_path / "b", store, TASKS[:1], device="another", refresh=True)
    assert other.imported.before == {}
    assert len(other.imported.known[TASKS[0].digest].candidates) == 3


def test_what_was_disturbed_is_timed_again_first(tmp_path: Path) -> None:
    store, task = str(tmp_path / "store"), TASKS[0]
    first = Session(tmp_path / "a", store, TASKS[:1], trials=30)
    made = sorted(records_of(task, 30), key=lambda record: record.latency)
    loaded = [replace(r, conditions=json.dumps({"disturbed": 0.4})) for r in made[:2]]
    with first.stored.keeping(first.imported):
        numbered = [replace(r, sequence=n) for n, r in enumerate([*loaded, *made[2:]])]
        first.folder.database.append(numbered)
    again = Session(tmp_path / "b", store, TASKS[:1], trials=30)
    known = again.imported.known[task.digest]
    assert known.doubtful == known.candidates == (made[0].config, made[1].config)
    assert {r.config for r in again.imported.records} == {r.config for r in made[2:]}
    assert again.imported.settled == {}
    assert again.imported.before == {task.digest: inf}
    assert again.progress.notes == [
        "0 of 1 layer known, 0 to tune, "
        "1 to be timed again, as other processes disturbed its timing."
    ]
    calm = [replace(r, conditions="", sequence=100 + n) for n, r in enumerate(loaded)]
    with again.stored.keeping(again.imported):
        again.folder.database.append(calm)
    assert Session(tmp_path / "c", store, TASKS[:1], trials=30).imported.settled != {}


def test_what_is_disturbed_each_time_is_believed_in_the_end(tmp_path: Path) -> None:
    store, task = str(tmp_path / "store"), TASKS[0]
    for place, known, share in [("a", 0, 0.4), ("b", 0, 0.41), ("c", 1, 0.42)]:
        conditions = json.dumps({"disturbed": share})
        loaded = [replace(r, conditions=conditions) for r in records_of(task, 16)]
        session = Session(tmp_path / place, store, TASKS[:1], trials=30)
        assert len(session.imported.settled) == known
        again = session.imported.known[task.digest].doubtful
        with session.stored.keeping(session.imported):
            made = [r for r in loaded if place == "a" or r.config in again]
            session.folder.database.append([replace(r, sequence=n) for n, r in enumerate(made)])
