"""The bound on what is left to gain in a layer, and the search that ends where it is small."""

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import typer

from chameleon_ray.api.replay import record_of
from chameleon_ray.budget import Budget
from chameleon_ray.commands.arguments import share_of
from chameleon_ray.options import Bounding, Budgeting
from chameleon_ray.record import Record
from chameleon_ray.replay.table import read_table
from chameleon_ray.search.posterior import Rivals, rivals
from chameleon_ray.tuner import Tuner
from tests.pure import toys
from tests.pure.engine_checks import QUICK

DATA = Path(__file__).parents[1] / "data"
OPTIONS = Bounding()
TABLE = read_table(DATA / "vgg-1.parquet")


def rival(*means: float, deviation: float = 0.1, power: float = 1.0, works: float = 1.0) -> Rivals:
    return Rivals(np.array(means), np.full(len(means), deviation), power, works, True)


def measured(rows: np.ndarray) -> list[Record]:
    return [record_of(TABLE, int(row)) for row in rows]


def test_one_rival_s_bound_is_a_normal_quantile() -> None:
    assert rival(1.0).within(0.9) == pytest.approx(0.1 * 1.2816, abs=1e-4)
    assert rival(1.0).within(0.5) == pytest.approx(0.0, abs=1e-4)


def test_two_rivals_bound_is_that_of_the_greater_of_two_draws() -> None:
    drawn = np.random.default_rng(0).normal(1.0, 0.1, (200_000, 2)).max(axis=1)
    assert rival(1.0, 1.0).within(0.9) == pytest.approx(np.quantile(drawn, 0.9) - 1, abs=2e-3)


def test_the_bound_is_of_the_fitness_and_not_of_its_power() -> None:
    assert rival(1.0, power=5.0).within(0.9) == pytest.approx(1.12816**0.2 - 1, abs=1e-4)


def test_a_rival_that_hardly_works_is_hardly_feared() -> None:
    assert rival(1.2, works=0.05).within(0.9) == 0.0 < rival(1.2).within(0.9)


def test_nothing_is_left_without_rivals() -> None:
    nothing = rival()
    assert nothing.within(0.9) == nothing.worth(10) == 0.0


def test_worth_is_the_expected_gain_of_the_most_hopeful() -> None:
    drawn = np.random.default_rng(0).normal(1.0, 0.1, 200_000)
    gain = np.maximum(drawn - 1, 0).mean()
    assert rival(1.0, 0.2).worth(1) == pytest.approx(gain / (1 + gain), rel=0.02)
    assert rival(1.0, 1.0).worth(2) > rival(1.0, 1.0).worth(1)


def test_a_space_measured_whole_has_no_rivals_left() -> None:
    known = rivals(TABLE.space, measured(np.arange(len(TABLE))), OPTIONS)
    assert known is not None
    assert known.within(0.9) == 0.0


def test_too_few_records_have_no_bound() -> None:
    assert rivals(TABLE.space, measured(np.arange(OPTIONS.least - 1)), OPTIONS) is None


def test_more_records_narrow_the_bound_and_it_is_told() -> None:
    rows = np.random.default_rng(1).permutation(len(TABLE))
    few, many = (rivals(TABLE.space, measured(rows[:n]), OPTIONS) for n in (24, 425))
    assert few is not None
    assert many is not None
    assert many.within(0.9) < few.within(0.9)
    assert few.told(0.9).endswith("% of the best of its space with 90% confidence")


def test_bounds_hold_as_often_as_they_say() -> None:
    held = []
    for seed in range(20):
        rows = np.random.default_rng(seed).permutation(len(TABLE))
        for count in (24, 48, 96, 192):
            known = rivals(TABLE.space, measured(rows[:count]), OPTIONS)
            assert known is not None
            regret = TABLE.latency[rows[:count]].min() / TABLE.latency.min() - 1
            held.append(regret <= known.within(0.9) + 1e-9)
    assert np.mean(held) >= 0.85


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), ("0.02", 0.02), ("0%", 0.0)])
def test_percentages_are_read(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["2", "-1%", "100%", "two", "nan"])
def test_what_is_no_percentage_is_told(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="such as 2%"):
        share_of(text)


@pytest.mark.parametrize(
    ("largest", "soonest", "settled", "ended"),
    [(4096, 30, 0, True), (10, 30, 0, False), (4096, 31, 0, False), (4096, 30, 1, False)],
)
def test_a_small_bound_ends_a_search_of_a_whole_space_once_enough_was_tried_in_vain(
    largest: int, soonest: int, settled: int, ended: bool
) -> None:
    task = replace(toys.task("tiny-1"), space=TABLE.space)
    tuner = Tuner(task, None, QUICK, 0)  # type: ignore[arg-type]
    bounding = Bounding(rivals=largest)
    options = Budgeting(bounding=bounding, soonest=soonest, settled=settled)
    made = Budget([tuner], options, None, None, lambda: 0.0, until=100.0)
    got = [replace(record, task=task.digest) for record in measured(np.arange(30))]
    tuner.observe(got)
    assert bool(made.settle(tuner, got)) == ended


@pytest.mark.parametrize(("latest", "ended"), [(2.0, True), (0.5, False)])
def test_a_resumed_search_is_judged_by_its_last_plan(latest: float, ended: bool) -> None:
    """Three plans in vain that an improvement followed end no layer."""
    task = replace(toys.task("tiny-1"), space=TABLE.space)
    tuner = Tuner(task, None, QUICK, 0)  # type: ignore[arg-type]
    bests = (1.0, 1.5, 1.5, 1.5, latest)
    tuner.observe(
        [
            replace(record, task=task.digest, plan=row // 8, latencies=(bests[row // 8],))
            for row, record in enumerate(measured(np.arange(40)))
        ]
    )
    made = Budget([tuner], Budgeting(settled=3), None, None, lambda: 0.0, until=100.0)
    assert bool(made.layers[task.digest].finished) == ended


@pytest.mark.parametrize(("before", "ended"), [(None, True), (inf, False)])
def test_a_small_bound_ends_no_layer_of_which_something_is_in_doubt(
    before: float | None, ended: bool
) -> None:
    task = replace(toys.task("tiny-1"), space=TABLE.space)
    tuner = Tuner(task, None, QUICK, 0)  # type: ignore[arg-type]
    *known, left = [replace(record, task=task.digest) for record in measured(np.arange(31))]
    tuner.observe(known)
    tuner.before, tuner.suggested = before, (left.config,)
    made = Budget([tuner], Budgeting(soonest=30, settled=0), None, None, lambda: 0.0, until=100.0)
    assert bool(made.layers[task.digest].finished) == ended
