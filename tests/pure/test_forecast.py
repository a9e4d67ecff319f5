"""The forecast of a session's end, and the deadline that leaves time for it."""

import pytest

from chameleon_ray.api.timekeeper import Timekeeper
from chameleon_ray.budget import Budget
from chameleon_ray.forecast import Forecast, ModelWork
from chameleon_ray.options import Budgeting, Confirming, Search
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.progress import Progress
from chameleon_ray.tuner import Tuner
from tests.pure import toys
from tests.pure.fake_result import record

TASK = toys.task("tiny-a")
OPTIONS = Confirming(finalists=2, model_seconds=8.0, model_repeats=10, reserve=0.1)


def known(*records):
    tuner = Tuner(TASK, None, Search(), 0)
    tuner.records = list(records)
    return tuner


def tried(config, latency, build, run):
    milliseconds = None if latency is None else 1e3 * latency
    return record(TASK, milliseconds, config, build_seconds=build, run_seconds=run)


MEASURED = known(tried(DEFAULT, 2.0, 3.0, 5.0), *(tried((n,), 0.1, 1.0, 0.5) for n in range(4)))


def forecast(builders=1, again=False, runners=1):
    return Forecast([ModelWork(10.0, again, {TASK.digest: 2.0})], OPTIONS, builders, runners)


def test_nothing_is_known_but_what_the_import_took():
    assert forecast().seconds == pytest.approx(10.0)
    assert forecast(again=True).seconds == pytest.approx(20.0)


def test_contests_and_the_untuned_model_are_foretold():
    foretold = forecast()
    foretold.learn(MEASURED)
    builds, runs, untuned = 3.0 + 2 * 1.0, 5.0 + 2 * 0.5, 2.0 * 2.0
    assert foretold.seconds == pytest.approx(builds + runs + 10.0 + 8.0 + untuned)
    shared = forecast(builders=5, runners=2)
    shared.learn(MEASURED)
    assert shared.seconds == pytest.approx(builds / 5 + runs / 2 + 10.0 + 8.0 + untuned)


def test_a_model_is_compiled_compared_and_timed_with_graphs_too():
    work = ModelWork(10.0, again=True, weights={TASK.digest: 0.1}, graphs=True)
    foretold = Forecast([work], OPTIONS, builders=1)
    foretold.learn(MEASURED)
    contest, untuned = 3.0 + 2 * 1.0 + 5.0 + 2 * 0.5, 0.1 * 2.0
    timing = 3 * 10 * untuned
    assert foretold.seconds == pytest.approx(contest + 3 * 10.0 + timing + 2 * untuned)


def test_a_layer_that_nothing_works_for_has_no_contest():
    foretold = forecast()
    foretold.learn(known(tried((1,), None, 1.0, 0.5)))
    assert foretold.seconds == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("limit", "began", "deadline"),
    [(1000, 0, 900), (100, 0, 90), (50, 0, 40), (12, 0, 6), (12, 8, 10), (12, 14, 12)],
)
def test_a_share_is_kept_and_half_of_what_is_left_is_searched(limit, began, deadline):
    assert forecast().deadline(limit, began) == pytest.approx(deadline)


def test_the_deadline_moves_with_what_is_known():
    progress = Progress()
    budget = Budget([MEASURED], Budgeting(), None, 90.0, lambda: 0.0)
    Timekeeper(forecast(), 100.0, 0.0, progress, [budget]).planned(MEASURED)
    assert budget.deadline == progress.wall_limit == pytest.approx(100.0 - 33.0)
    endless = Budget([MEASURED], Budgeting(), 10, None, lambda: 0.0)
    Timekeeper(forecast(), None, 0.0, progress, [endless]).planned(MEASURED)
    assert endless.deadline is None
