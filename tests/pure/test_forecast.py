"""The forecast of a session's end, and the deadline that leaves time for it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.api.timekeeper import Timekeeper, work_of
from chameleon_ray.budget import Budget
from chameleon_ray.forecast import Forecast, ModelWork
from chameleon_ray.options import Budgeting, Confirming, Request, Search
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.progress import Progress
from chameleon_ray.tuner import Tuner
from tests.pure import toys
from tests.pure.fake_result import record

TASK = toys.task("tiny-a")
OPTIONS = Confirming(
    finalists=2,
    model_seconds=8.0,
    model_repeats=10,
    reserve=0.1,
    least_search=0.25,
    tuned_compiling=1.0,
    profile_seconds=0.5,
    closing_seconds=0.0,
    most_comparing=0.1,
)
CPU, GPU = SimpleNamespace(gpus=None, graphs=None), SimpleNamespace(gpus=1, graphs="graphs")
WORK = {"imports": 20.0, "compiling": 8.0, "checking": 1.0}
"""Of one library: 8 s to compile it, one to compare and one to time it."""


def known(*records):
    tuner = Tuner(TASK, None, Search(), 0)
    tuner.records = list(records)
    return tuner


def tried(config, latency, build, run):
    milliseconds = None if latency is None else 1e3 * latency
    return record(TASK, milliseconds, config, build_seconds=build, run_seconds=run)


MEASURED = known(tried(DEFAULT, 2.0, 3.0, 5.0), *(tried((n,), 0.1, 1.0, 0.5) for n in range(4)))


def forecast(builders=1, again=False, runners=1, **options):
    work = ModelWork(again=again, weights={TASK.digest: 2.0}, **WORK)
    return Forecast([work], OPTIONS, builders, runners, **options)


def test_nothing_is_known_but_what_was_done_before():
    assert forecast().seconds == pytest.approx(10.0)
    assert forecast(again=True).seconds == pytest.approx(30.0)


def test_contests_and_the_untuned_model_are_foretold():
    foretold = forecast()
    foretold.learn(MEASURED)
    builds, runs, untuned = 3 * 3.0, 5.0 + 2 * 0.5, 2.0 * 2.0
    assert foretold.seconds == pytest.approx(builds + runs + 10.0 + 8.0 + untuned)
    shared = forecast(builders=5, runners=2)
    shared.learn(MEASURED)
    assert shared.seconds == pytest.approx(builds / 5 + runs / 2 + 10.0 + 8.0 + untuned)


def test_a_model_is_compiled_compared_and_timed_with_graphs_too():
    work = ModelWork(again=True, weights={TASK.digest: 0.1}, graphs=True, **WORK)
    foretold = Forecast([work], OPTIONS, builders=1)
    foretold.learn(MEASURED)
    contest, untuned = 3 * 3.0 + 5.0 + 2 * 0.5, 0.1 * 2.0
    timing = 3 * 10 * untuned
    assert foretold.seconds == pytest.approx(
        contest + 20.0 + 2 * 8.0 + 3 * 1.0 + timing + 2 * untuned
    )


def test_a_tuned_model_takes_longer_to_compile():
    work = ModelWork(again=True, weights={TASK.digest: 2.0}, **WORK)
    foretold = Forecast([work], replace(OPTIONS, tuned_compiling=1.5), builders=1)
    assert foretold.seconds == pytest.approx(20.0 + 1.5 * 8.0 + 2 * 1.0)


def test_timing_layers_inside_the_model_is_foretold():
    work = ModelWork(again=False, weights={TASK.digest: 2.0}, inside=True, **WORK)
    assert Forecast([work], OPTIONS, builders=1).seconds == pytest.approx(8.0 + 3 * 1.0 + 0.5)


def test_a_layer_that_nothing_works_for_has_no_contest():
    foretold = forecast()
    foretold.learn(known(tried((1,), None, 1.0, 0.5)))
    assert foretold.seconds == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("limit", "began", "deadline"),
    [(1000, 0, 900), (100, 0, 90), (50, 0, 40), (12, 0, 3), (12, 8, 9), (12, 14, 12)],
)
def test_a_share_is_kept_and_a_quarter_of_what_is_left_is_searched(limit, began, deadline):
    assert forecast().deadline(limit, began) == pytest.approx(deadline)


@pytest.mark.parametrize(("comparing", "deadline"), [(5.0, 85.0), (40.0, 80.0)])
def test_comparing_with_frameworks_leaves_most_of_the_time_to_the_search(comparing, deadline):
    work = ModelWork(again=False, weights={TASK.digest: 2.0}, comparing=comparing, **WORK)
    assert Forecast([work], OPTIONS, 1).deadline(100, 0) == pytest.approx(deadline)
    assert Forecast([work], OPTIONS, 1).seconds == pytest.approx(10.0)


def test_the_deadline_moves_with_what_is_known():
    progress = Progress()
    budget = Budget([MEASURED], Budgeting(), None, 90.0, lambda: 0.0)
    Timekeeper(forecast(), 100.0, 0.0, progress, [budget]).planned(MEASURED)
    assert budget.deadline == progress.wall_limit == pytest.approx(100.0 - 37.0)
    endless = Budget([MEASURED], Budgeting(), 10, None, lambda: 0.0)
    Timekeeper(forecast(), None, 0.0, progress, [endless]).planned(MEASURED)
    assert endless.deadline is None


def test_builds_that_are_kept_take_no_time():
    foretold = forecast(kept=lambda task, config: config != DEFAULT)
    foretold.learn(MEASURED)
    assert foretold.contests(2) == pytest.approx(3.0 + 5.0 + 2 * 0.5)
    assert foretold.contests(1) == pytest.approx(3.0 + 5.0 + 0.5)


def keeper(limit, now):
    foretold = forecast()
    foretold.learn(MEASURED)
    return Timekeeper(foretold, limit, 0.0, Progress(), clock=lambda: now)


@pytest.mark.parametrize(("now", "finalists", "left"), [(0, 2, 78), (63, 2, 15), (64, 1, 14)])
def test_the_choice_is_cut_to_what_is_left(now, finalists, left):
    options, seconds = keeper(100.0, now).confirming()
    assert (options.finalists, seconds) == (finalists, pytest.approx(left))
    assert keeper(100.0, 200).confirming()[1] == 0
    assert keeper(None, now).confirming() == (OPTIONS, None)


@pytest.mark.parametrize(("now", "seconds"), [(0, 8.0), (94, 3.0), (200, 0.5)])
def test_timing_the_model_is_cut_to_what_is_left(now, seconds):
    assert keeper(100.0, now).timing(2).model_seconds == pytest.approx(seconds)
    assert keeper(None, now).timing(2) == OPTIONS


def test_timing_the_model_leaves_time_for_other_frameworks():
    work = ModelWork(again=False, weights={TASK.digest: 2.0}, comparing=4.0, **WORK)
    keeping = Timekeeper(Forecast([work], OPTIONS, 1), 100.0, 0.0, Progress(), clock=lambda: 90.0)
    assert keeping.timing(1).model_seconds == pytest.approx(6.0)
    assert keeping.comparing(1) == pytest.approx(10.0)


def test_a_model_that_was_compared_leaves_no_time_for_its_own_comparison():
    work = ModelWork(again=False, weights={TASK.digest: 2.0}, comparing=2.0, **WORK)
    foretold = Forecast([work, work], OPTIONS, 1)
    keeping = Timekeeper(foretold, 100.0, 0.0, Progress(), clock=lambda: 92.0)
    assert keeping.timing(2).model_seconds == pytest.approx((8.0 - 4.0) / 2)
    assert keeping.timing(2, compared=1).model_seconds == pytest.approx((8.0 - 2.0) / 2)
    assert keeping.timing(1, compared=1).model_seconds == pytest.approx(8.0)


def test_comparing_and_timing_leave_time_for_layers_inside_the_model():
    work = ModelWork(again=False, weights={TASK.digest: 2.0}, inside=True, **WORK)
    now = [90.0]
    keeping = Timekeeper(Forecast([work], OPTIONS, 1), 100.0, 0.0, Progress(), (), lambda: now[0])
    comparing = keeping.comparing(1)
    assert comparing == pytest.approx(10.0 - 1.0 - 0.5)
    now[0] = 95.0
    assert keeping.timing(1, compared=1).model_seconds == pytest.approx(5.0 - 1.0 - 0.5)
    now[0] = 90.0 + comparing
    assert keeping.inside(1) == pytest.approx(0.5)
    now[0] = 99.0
    assert keeping.comparing(1) == 0.0


def test_the_choice_of_winners_leaves_time_for_other_frameworks():
    work = ModelWork(again=False, weights={TASK.digest: 2.0}, comparing=4.0, **WORK)
    foretold = Forecast([work], OPTIONS, 1)
    keeping = Timekeeper(foretold, 100.0, 0.0, Progress(), clock=lambda: 50.0)
    assert keeping.confirming()[1] == pytest.approx(50.0 - foretold.after - 4.0)


@pytest.mark.parametrize(
    ("kind", "where", "comparing"),
    [
        (CPU, {}, 8.0 + 0.5 * 40.0 - 1.5 * 10.0),
        (CPU, {"together": True}, 8.0 + 0.5 * 40.0),
        (CPU, {"elsewhere": True}, 0.0),
        (GPU, {}, 8.0 + 0.5 * 40.0),
    ],
)
def test_loading_meanwhile_is_foretold_only_where_it_is_begun(kind, where, comparing):
    account = SimpleNamespace(busy={"apply": 10.0})
    held = {"holds": lambda request: True, "threads": 1}
    process = SimpleNamespace(kind=kind, account=lambda began: account, **held)
    model = SessionModel(Request("net.onnx", compare=("onnxruntime",)), None)
    prepared = SimpleNamespace(seconds={"import": 40.0}, tasks=())
    assert work_of(model, prepared, process, 1, **where).comparing == pytest.approx(comparing)


@pytest.mark.parametrize(("now", "seconds"), [(0, 0.5), (97.6, 0.2), (98.5, 0.0), (200, 0.0)])
def test_layers_are_timed_inside_the_model_only_while_there_is_time(now, seconds):
    assert keeper(100.0, now).inside(2) == pytest.approx(seconds)
    assert keeper(None, now).inside(2) == OPTIONS.profile_seconds


@pytest.mark.parametrize(("began", "late"), [(0.0, 0.0), (80.0, 0.0), (131.0, 0.0), (142.0, 4.0)])
def test_it_is_known_when_a_search_begins_too_late(began, late):
    keeping = Timekeeper(forecast(), 150.0, began, Progress(), clock=lambda: began)
    assert keeping.late == pytest.approx(late)
    assert Timekeeper(forecast(), None, began, Progress()).late == 0.0


def test_other_whole_models_have_a_share_of_the_search():
    options = replace(OPTIONS, wholes=2, wholes_seconds=1.0, most_wholes=0.5, reserve=0.0)
    work = ModelWork(again=False, weights={}, inside=True, threads=2, **WORK)
    foretold = Forecast([work], options, 1)
    # three or four models are compiled, and timed for 1 s each before the last two are once more
    assert [foretold.whole_seconds(count) for count in (1, 2)] == [30.0, 39.0]
    assert [foretold.wholes(seconds) for seconds in (29, 30, 39, 100)] == [0, 1, 2, 2]
    assert foretold.deadline(1000, 0) == pytest.approx(1000 - foretold.seconds - 39)
    assert Forecast([work, work], options, 1).wholes(1000) == 0
    for other in ({"inside": False}, {"threads": 1}):
        assert Forecast([replace(work, **other)], options, 1).wholes(1000) == 0


def test_time_for_other_whole_models_is_what_is_left():
    options = replace(OPTIONS, wholes=2, wholes_seconds=1.0, most_wholes=0.5)
    work = ModelWork(again=False, weights={}, inside=True, threads=2, **WORK)
    now = [70.0]
    for limit, count in ((None, 1), (1000.0, 1), (100.0, 0)):
        keeping = Timekeeper(
            Forecast([work], options, 1), limit, 0.0, Progress(), (), lambda: now[0]
        )
        assert keeping.wholes() == count
