"""Layers that are timed again: what is as fast as before is not searched, what got worse is."""

import asyncio
from dataclasses import replace
from math import inf

import pytest

from chameleon_ray.budget import AS_BEFORE, Budget, lasts
from chameleon_ray.options import Budgeting
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner
from tests.pure import toys
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
    assert lasts(AS_BEFORE)
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
