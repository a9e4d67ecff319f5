"""Lowerings of one layer: when others are searched, when given up, and which one is chosen."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

import pytest

from chameleon_ray.budget import Budget, lasts
from chameleon_ray.forecast import Forecast
from chameleon_ray.lowerings import by_layer, contenders, is_behind, preferred
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.merging import merged
from chameleon_ray.options import Budgeting, Confirming
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.report.layer_result import LayerOutcome, LayerResult
from chameleon_ray.report.layer_table import layer_table
from chameleon_ray.report.progress import Progress
from chameleon_ray.tuner import Tuner
from chameleon_ray.winners import Earlier, choose_lowering, corrected
from tests.pure import toys
from tests.pure.engine_checks import QUICK, local
from tests.pure.test_database import record

FIRST = replace(toys.task("tiny-first", 2), lowering="direct")
OTHER = replace(
    toys.task("tiny-other", 2), lowering="Winograd", instead=FIRST.digest, has_default=False
)
ALONE = toys.task("tiny-alone")
TASKS = (OTHER, ALONE, FIRST)
CONFIGS = ((0, 0), (0, 1), (0, 2))


def test_lowerings_are_grouped_by_layer_with_the_first_one_first() -> None:
    groups = by_layer(TASKS, lambda task: task)
    assert groups == {ALONE.digest: [ALONE], FIRST.digest: [FIRST, OTHER]}


@pytest.mark.parametrize(
    ("own", "leader", "late"),
    [
        ([9.0], [1.0], False),  # too early
        ([9.0, 1.6], [1.0, 1.0], True),
        ([9.0, 1.4], [1.0, 1.0], False),  # within 1 + 1/2
        ([9.0, 1.4, 1.4, 1.4], [1.0, 1.0, 1.0, 1.0], True),  # not within 1 + 1/4
        ([9.0, 1.4], [1.0, 1.0, 0.5], False),  # the leader had as much then
        ([9.0, 1.6], [1.0], True),
        ([inf, inf], [1.0, 1.0], True),
        ([9.0, 9.0], [], False),
    ],
)
def test_a_lowering_is_compared_with_the_leader_after_as_many_plans(
    own: list[float], leader: list[float], late: bool
) -> None:
    assert is_behind(own, leader, Budgeting(opening=2, slack=1.0)) == late


def test_the_nearly_fastest_are_compared_and_the_first_one_is_preferred() -> None:
    options = Confirming(near=1.1, clearly=0.02)
    assert contenders({"a": 1.05, "b": 1.0, "c": 1.2}, options) == ["b", "a"]
    assert contenders({"a": inf, "b": inf}, options) == ["a", "b"]
    assert preferred({"a": 1.01, "b": 1.0}, "a", options) == "a"
    assert preferred({"a": 1.03, "b": 1.0}, "a", options) == "b"
    assert preferred({"b": 1.0}, "a", options) == "b"
    assert preferred({"a": 0.99, "b": 1.0}, "a", options, kept="b") == "b"
    assert preferred({"a": 0.97, "b": 1.0}, "a", options, kept="b") == "a"
    assert preferred({"a": 1.01, "b": 1.0}, "a", options, kept="c") == "a"


def budget(**bests: tuple[float, ...]) -> Budget:
    """A budget that has seen these bests of the first lowering, of the other, and of ``ALONE``."""
    tuners = {task.digest: Tuner(task, None, QUICK, 0) for task in TASKS}  # type: ignore[arg-type]
    made = Budget(list(tuners.values()), Budgeting(opening=2), None, None, lambda: 0.0)
    for task in (FIRST, ALONE, OTHER):
        tuner = tuners[task.digest]
        for plan, best in enumerate(bests.get(task.name.partition("-")[2], ())):
            got = [record(plan, task=task.digest, config=(plan, 0), plan=plan, latencies=(best,))]
            tuner.observe(got)
            made.settle(tuner, got)
    return made


def test_no_other_lowering_is_searched_before_the_first_has_begun() -> None:
    begun = budget(first=(1.0,), alone=(0.1, 0.1))
    assert begun.next().task is FIRST
    assert begun.next().task is ALONE
    assert begun.next() is None
    assert begun.open
    assert budget(first=(1.0, 1.0)).next().task is ALONE
    assert budget(first=(1.0, 1.0), alone=(0.1,)).next().task is OTHER


def test_another_lowering_is_searched_where_the_first_failed() -> None:
    failing = budget(alone=(0.1,))
    failing.retire(failing.layers[FIRST.digest].tuner, "its search failed")
    assert failing.next().task is OTHER


def test_another_lowering_claims_what_it_may_gain_for_its_layer() -> None:
    made = budget(first=(1.0, 1.0), alone=(0.1, 0.1), other=(1.1,))
    first, other = (made.layers[task.digest] for task in (FIRST, OTHER))
    assert made.claim(first) == pytest.approx(2 * 0.8 * 0.5)
    assert made.claim(other) == pytest.approx(2 * (0.8 * 1.1 - 0.1))
    slow = budget(first=(1.0, 0.1), alone=(0.1, 0.1), other=(1.0,))
    assert slow.claim(slow.layers[OTHER.digest]) == 0.0


def test_lowerings_that_fall_behind_are_given_up_with_the_reason() -> None:
    made = budget(first=(4.0, 4.0), alone=(0.1, 0.1), other=(1.0, 1.0))
    assert made.layers[FIRST.digest].finished == "Winograd is 4.0 times as fast"
    assert not made.layers[OTHER.digest].finished
    tuner = made.layers[OTHER.digest].tuner
    resumed = Budget(
        [layer.tuner for layer in made.layers.values()], Budgeting(), None, None, lambda: 0.0
    )
    assert [one.history for one in resumed.layers.values()] == [
        one.history for one in made.layers.values()
    ]
    assert resumed.layers[FIRST.digest].finished
    assert resumed.next() is tuner


def test_a_plan_can_finish_another_lowering_than_its_own() -> None:
    made = budget(first=(4.0, 4.0), alone=(0.1, 0.1))
    tuner = made.layers[OTHER.digest].tuner
    got = [record(9, task=OTHER.digest, config=(0, 0), plan=0, latencies=(1.0,))]
    tuner.observe(got)
    assert made.settle(tuner, got) == {FIRST.digest: "Winograd is 4.0 times as fast"}


def records(first: float, other: float) -> dict[str, list]:
    found = {FIRST.digest: [record(0, task=FIRST.digest, config=DEFAULT, latencies=(9.0,))]}
    for task, seconds in ((FIRST, first), (OTHER, other)):
        for number, config in enumerate(CONFIGS):
            one = record(1, task=task.digest, config=config, latencies=(seconds + number,))
            found.setdefault(task.digest, []).append(one)
    return found


@dataclass
class Runner(toys.ToyRunner):
    """Confirms latencies by lowering; the default schedule takes 9 s.

    Attributes:
        seconds: Seconds of each lowering's first configuration, by digest; others take longer.
        wrong_tasks: Digests of lowerings all of whose candidates are wrong.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    wrong_tasks: tuple[str, ...] = ()

    def latency(self, one, config):  # type: ignore[override]
        return 9.0 if config == DEFAULT else self.seconds[one.digest] + config[1]

    def contest(self, one, artifacts, options):
        self.wrong = CONFIGS if one.digest in self.wrong_tasks else ()
        return super().contest(one, artifacts, options)


def chosen(
    first: float,
    other: float,
    wrong: tuple = (),
    confirmed: dict | None = None,
    earlier: dict | None = None,
) -> list:
    seconds = confirmed or {FIRST.digest: first, OTHER.digest: other}
    runner = partial(Runner, seconds=seconds, wrong_tasks=wrong)
    measurer = Measurer(local("builder", toys.ToyBuilder), local("runner", runner))
    options = Confirming(finalists=3)
    tried = records(first, other)
    choosing = choose_lowering([FIRST, OTHER], tried, measurer, options, earlier or {})
    return asyncio.run(choosing)


def test_the_fastest_lowering_wins_with_the_default_of_the_first() -> None:
    (winner,) = chosen(2.0, 1.0)
    assert (winner.task, winner.config, winner.latency) == (OTHER.digest, (0, 0), 1.0)
    assert winner.default_latency == 9.0
    (kept,) = chosen(1.0, 2.0)
    assert kept.task == FIRST.digest


def test_near_ones_are_timed_again_and_that_decides() -> None:
    winners = chosen(1.05, 1.0, confirmed={FIRST.digest: 1.0, OTHER.digest: 1.1})
    assert [winner.task for winner in winners] == [FIRST.digest, OTHER.digest]


def test_a_lowering_whose_candidates_are_all_wrong_loses_to_a_slower_one() -> None:
    winner, wrong = chosen(2.0, 1.0, wrong=(OTHER.digest,))
    assert (winner.task, winner.config) == (FIRST.digest, (0, 0))
    assert set(wrong.wrong) == set(CONFIGS)
    tried = [one for own in records(2.0, 1.0).values() for one in own]
    corrections = corrected(tried, [winner, wrong])
    assert {(one.task, one.status) for one in corrections} == {(OTHER.digest, Status.WRONG_ANSWER)}
    assert len(corrections) == len(CONFIGS)


def test_what_won_before_is_kept_where_nothing_new_is_known() -> None:
    other, default = {OTHER.digest: Earlier((0, 1), settled=True)}, Earlier(DEFAULT, settled=True)
    (winner,) = chosen(2.0, 1.0, earlier=other)
    assert (winner.task, winner.config, winner.default_latency) == (OTHER.digest, (0, 1), 9.0)
    (winner,) = chosen(2.0, 1.0, earlier={FIRST.digest: default})
    assert (winner.task, winner.config) == (FIRST.digest, DEFAULT)
    winner, *_ = chosen(2.0, 1.0, wrong=(OTHER.digest,), earlier=other)
    assert (winner.task, winner.config) == (FIRST.digest, (0, 0))


def test_a_near_tie_keeps_the_lowering_that_won_before() -> None:
    confirmed = {FIRST.digest: 1.0, OTHER.digest: 1.01}
    winner, _ = chosen(1.0, 1.01, (), confirmed, {OTHER.digest: Earlier((0, 0))})
    assert winner.task == OTHER.digest
    winner, _ = chosen(1.0, 1.01, (), confirmed)
    assert winner.task == FIRST.digest


def test_the_latest_default_of_another_lowering_is_not_the_layer_s() -> None:
    outcome = LayerOutcome(OTHER.digest, DEFAULT, 9.0, 3.0)
    row = LayerResult.among([FIRST, OTHER], records(5.0, 4.0), {OTHER.digest: outcome})
    assert (row.default, row.best, row.kept_default) == (9.0, 3.0, True)


@pytest.mark.parametrize(
    ("reason", "known"),
    [
        ("its whole space was measured", True),
        ("no improvement in 12 plans", True),
        ("Winograd is 4.0 times as fast", True),
        ("Winograd is infinitely as fast", True),
        ("its search failed: no memory", False),
        ("within 9 % of the best of its space with 90% confidence, as asked for", False),
        ("known from the store", False),
    ],
)
def test_ends_of_searches_that_hold_for_later_commands(reason: str, known: bool) -> None:
    assert lasts(reason) == known


def test_where_all_are_wrong_the_default_is_kept() -> None:
    winner, *_ = chosen(2.0, 1.0, wrong=(FIRST.digest, OTHER.digest))
    assert (winner.task, winner.config) == (FIRST.digest, DEFAULT)


def test_models_that_share_a_layer_share_its_lowerings() -> None:
    found = merged([(1, TASKS), (3, (FIRST, OTHER))])
    assert {task.digest: task.weight for task in found.tasks} == {
        FIRST.digest: 8,
        OTHER.digest: 8,
        ALONE.digest: 1,
    }
    assert (found.before, len(found.distinct)) == (3, 2)


def test_a_layer_counts_once_in_the_report() -> None:
    own = records(2.0, 1.0) | {ALONE.digest: []}
    outcomes = {OTHER.digest: LayerOutcome(OTHER.digest, (0, 0), best=1.0)}
    row = LayerResult.among([FIRST, OTHER], own, outcomes)
    assert (row.task, row.best, row.default, row.measurements) == (OTHER, 1.0, 9.0, 7)
    assert row.others == (("direct", 2.0),)
    assert "Winograd; direct 2000 ms" in layer_table([row])
    undecided = LayerResult.among([FIRST, OTHER], own, {})
    assert undecided.task is OTHER


def test_a_layer_counts_once_in_the_progress() -> None:
    progress = Progress()
    progress.began(TASKS, None, None)
    for one in (one for own in records(2.0, 1.0).values() for one in own):
        progress.proposed(one.task, 1)
        progress.measured(one)
    assert progress.weighted == (2 * 9.0, 2 * 1.0)
    assert progress.shares == {OTHER.digest: 1.0, ALONE.digest: None}
    assert progress.measurements == 7


def test_the_forecast_has_contests_of_the_nearly_fastest_only() -> None:
    def seconds(first: float, other: float) -> float:
        forecast = Forecast([], Confirming(finalists=1), 1)
        for task, latency in ((FIRST, first), (OTHER, other)):
            tuner = Tuner(task, None, QUICK, 0)  # type: ignore[arg-type]
            tuner.records = [
                record(0, task=task.digest, config=(0, 0), latencies=(latency,), run_seconds=3.0)
            ]
            forecast.learn(tuner)
        return forecast.seconds

    assert seconds(1.0, 2.0) == seconds(2.0, 1.0) < seconds(1.0, 1.05)
