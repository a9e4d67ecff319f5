"""The engine with pools in this process; the same checks run with actors in tests/ray."""

import dataclasses
import math
from collections import Counter

import pytest

from chameleon_ray.budget import Budget
from chameleon_ray.options import Budgeting
from chameleon_ray.pool import InProcessPool, Lost, NoWorkers
from chameleon_ray.record import Status
from chameleon_ray.tuner import Tuner
from tests.pure import toys
from tests.pure.engine_checks import CHECKS, QUICK, local, run
from tests.pure.test_database import record


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_engine(check):
    check(local)


def test_the_same_seed_tries_the_same_configurations():
    one, _ = run(local, ("sketched-a",), trials=50, seed=3)
    two, _ = run(local, ("sketched-a",), trials=50, seed=3)
    other, _ = run(local, ("sketched-a",), trials=50, seed=4)
    assert [r.config for r in one.records] == [r.config for r in two.records]
    assert [r.config for r in one.records] != [r.config for r in other.records]


class Raising(InProcessPool):
    """Its first calls, as many as there are errors, raise them."""

    def __init__(self, factory, errors):
        super().__init__("explorer", factory, {}, 0.0)
        self.errors = errors

    async def call(self, method, *args):
        if self.errors:
            raise self.errors.pop()
        return await super().call(method, *args)


def with_explorers_that(*errors, **more):
    left = list(errors)

    def start_pool(name, factory):
        return Raising(factory, left) if name == "explorer" else local(name, factory)

    return run(start_pool, ("sketched-a", "sketched-b"), trials=60, separate=True, **more)[0]


def test_a_run_without_explorers_ends():
    with pytest.raises(NoWorkers, match="the last there was"):
        with_explorers_that(NoWorkers("explorer 1 is given up, the last there was"))


def test_what_a_lost_node_had_is_asked_again_and_other_errors_end_one_layers_search():
    assert with_explorers_that(Lost("its node is gone")).reasons == {}
    reasons = with_explorers_that(ValueError("odd")).reasons
    assert list(reasons.values()) == ["its search failed: odd"]


def test_search_beats_chance():
    notes, tuners = run(local, ("convolution-a",), trials=110)
    first = [r.latency for r in notes.records if r.plan == 0]
    assert tuners[0].best_latency < 0.8 * min(first)


def test_the_random_measurements_at_first_are_several_plans():
    notes, _ = run(local, ("sketched-a", "sketched-b"), trials=60)
    default, brief, opening, first = 1, QUICK.brief, QUICK.opening, QUICK.first_plan
    one, other = dict.fromkeys(r.task for r in notes.records)
    sizes = Counter((r.task, r.plan) for r in notes.records)
    assert sizes[one, 0] == default + brief, "the other waits"
    assert [sizes[one, plan] for plan in (1, 2)] == [opening, opening]
    assert [sizes[other, plan] for plan in range(3)] == [default + opening, opening, opening]
    assert first == 3 * opening
    assert sizes[other, 3] > opening
    tasks = [r.task for r in notes.records]
    assert set(tasks[: 2 * default + brief + opening]) == set(tasks)
    chosen = Counter((r.plan, r.chosen_by) for r in notes.records if r.task == other)
    assert chosen[0, "default schedule"] == 1
    assert {by for plan, by in chosen if plan < 3} <= {"default schedule", "random", "other layers"}
    assert {by for plan, by in chosen if plan == 3} & {QUICK.explorer, "scored whole"}
    assert all(by for _, by in chosen)


def budget_of(
    *layers: tuple[str, int, tuple[float, ...]], peak: float = math.inf, **options
) -> Budget:
    """A budget that has seen these bests, plan by plan, of tasks of these names and weights."""
    tuners = []
    for name, weight, _ in layers:
        tuner = Tuner(toys.task(name, weight), None, QUICK, 0)  # type: ignore[arg-type]
        tuners.append(tuner)
    budget = Budget(tuners, Budgeting(**options), None, None, lambda: 0.0)
    budget.peak = peak
    for tuner, (_, _, bests) in zip(tuners, layers, strict=True):
        for plan, best in enumerate(bests):
            of = {"task": tuner.task.digest, "config": (plan, 0), "plan": plan}
            got = [record(plan, latencies=(best,), **of)]
            tuner.observe(got)
            budget.settle(tuner, got)
    return budget


def test_every_layer_gets_a_first_plan_before_any_gets_a_second():
    budget = budget_of(("sketched-a", 1, (1.0,)), ("sketched-b", 1, ()), ("sketched-c", 9, (2.0,)))
    assert budget.next().task.name == "sketched-b"


def test_first_plans_are_short_as_long_as_another_layer_waits():
    budget = budget_of(("sketched-a", 1, ()), ("sketched-b", 1, ()), ("sketched-c", 9, (2.0,)))
    first, second = (layer.tuner for layer in list(budget.layers.values())[:2])
    assert budget.is_pressed(first)
    assert budget.is_pressed(second)
    assert budget.next() is first
    assert not budget.is_pressed(second), "the other one is under way"
    budget.retire(first, "its search failed")
    assert not budget.is_pressed(second)
    notes, _ = run(local, ("sketched-a", "sketched-b"), trials=10, layers=2)
    assert Counter(r.task for r in notes.records) == dict.fromkeys(
        {r.task for r in notes.records}, 1 + QUICK.opening
    )


def test_the_layer_that_costs_the_model_most_comes_first():
    budget = budget_of(("sketched-a", 1, (1.0,)), ("sketched-b", 3, (0.5,)))
    assert budget.next().task.name == "sketched-b"
    assert budget.next().task.name == "sketched-a"
    assert budget.next() is None


def test_claim_is_ansors_gradient():
    budget = budget_of(("sketched-a", 2, (1.0, 0.7, 0.4)), backward=0.2, similar=math.inf)
    layer = next(iter(budget.layers.values()))
    backward, forward = (1.0 - 0.4) / 2, 0.4 / 3
    assert budget.claim(layer) == pytest.approx(2 * (0.2 * backward + 0.8 * forward))


def test_a_slow_layer_is_believed_to_reach_half_of_a_similar_ones_throughput():
    slow = ("sketched-1", 1, (1.0, 1.0, 1.0, 1.0))
    budget = budget_of(slow, ("sketched-2", 1, (0.1,)), backward=0.0, similar=2.0)
    layer = next(iter(budget.layers.values()))
    assert budget.claim(layer) == pytest.approx(1.0 - 2.0 * 0.1)


def test_no_layer_is_expected_to_be_faster_than_the_machine():
    near, far = ("sketched-a", 9, (1.1, 1.1)), ("convolution-b", 1, (4.0,))  # of 1e9 operations
    budget = budget_of(near, far, peak=1e9, backward=0.0)
    one, other = budget.layers.values()
    assert budget.claim(one) == pytest.approx(9 * (1.1 - 1.0) / 2)
    assert budget.claim(other) == pytest.approx(4.0 - 1.0)
    assert budget.next() is other.tuner
    above = budget_of(("sketched-a", 1, (0.9, 0.9)), far, peak=1e9, backward=0.0, improvement=0.01)
    one, other = above.layers.values()
    assert above.claim(one) == pytest.approx(0.01 * 0.9 / 2), "it is a little faster than the peak"
    assert above.claim(other) == pytest.approx(4.0 - 0.9), "which is what was seen, then"
    beyond = budget_of(("sketched-a", 1, (0.5, 0.5)), far, peak=1e9, backward=0.0)
    one, other = beyond.layers.values()
    assert beyond.claim(one) == pytest.approx(0.5 / 2), "the peak cannot be right"
    assert beyond.claim(other) == pytest.approx(4.0)


def test_a_layer_without_improvement_is_finished():
    budget = budget_of(("sketched-a", 1, (1.0, 0.999, 0.998, 0.997)), patience=3)
    layer = next(iter(budget.layers.values()))
    assert layer.finished == "no improvement in 3 plans"
    assert not budget.open


def test_trials_are_granted_once():
    tuner = Tuner(toys.task("sketched-a"), None, QUICK, 0)  # type: ignore[arg-type]
    budget = Budget([tuner], Budgeting(), 10, None, lambda: 0.0)
    assert [budget.grant(7), budget.grant(7), budget.grant(7)] == [7, 3, 0]
    assert budget.over


def test_fitness_is_throughput_over_the_best_and_failures_are_zero():
    tuner = Tuner(toys.task("sketched-a"), None, QUICK, 0)  # type: ignore[arg-type]
    failed, slow, fast = (
        dataclasses.replace(record(n, latencies=latencies), config=(n, 0, 0, 0, 0))
        for n, latencies in enumerate([(), (4.0,), (1.0,)])
    )
    failed = dataclasses.replace(failed, status=Status.CRASH)
    tuner.observe([dataclasses.replace(slow, config=()), slow, fast, failed])
    assert tuner._known().fitness.tolist() == [0.25, 1.0, 0.0]
    assert tuner.best == fast


def test_a_search_that_fails_ends_its_layer_and_not_the_run(monkeypatch):
    explore = toys.explorer(QUICK).explore

    class Picky:
        def explore(self, space, *args):
            if space.size > 1e6:
                raise RuntimeError("no idea")
            return explore(space, *args)

    monkeypatch.setattr(toys, "explorer", lambda search: Picky())
    notes, _ = run(local, ("convolution-a", "tiny-a"))
    reasons = set(notes.reasons.values())
    assert reasons == {"its search failed: no idea", "its whole space was measured"}


def test_a_layer_that_failed_comes_after_those_that_wait():
    budget = budget_of(("sketched-a", 9, (math.inf,)), ("sketched-b", 1, ()))
    assert [budget.next().task.name for _ in range(2)] == ["sketched-b", "sketched-a"]


def test_a_layer_without_a_success_comes_first():
    budget = budget_of(("sketched-a", 1, (math.inf,)), ("sketched-b", 9, (0.5,)))
    assert budget.next().task.name == "sketched-a"
