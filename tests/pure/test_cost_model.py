"""Cost models on landscapes: they must rank what they have not seen, and turn down what fails."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.options import Annealing, Boosting, Gaussian, PingPong, Sampling
from chameleon_ray.presets import AUTOTVM
from chameleon_ray.search.active import TURNED_DOWN, ActiveSampler
from chameleon_ray.search.annealing import AnnealingExplorer
from chameleon_ray.search.boosting import XGBoostCostModel, average_recall
from chameleon_ray.search.cost_model import CostModel, Experience
from chameleon_ray.search.explorer import Agent
from chameleon_ray.search.gaussian import GaussianCostModel
from chameleon_ray.search.greedy import GreedySampler
from chameleon_ray.search.pingpong import PingPongCostModel
from chameleon_ray.search.sampler import Sampler
from tests.pure.conformance import COST_MODEL_CHECKS, known, rank_correlation
from tests.pure.landscape import Landscape, convolution, fenced, sketched, tiny

PLAIN = XGBoostCostModel(Boosting())
PINGPONG = PingPongCostModel(PingPong(), Boosting())
COST_MODELS: dict[str, CostModel] = {
    "boosting": PLAIN,
    "autotvm": XGBoostCostModel(AUTOTVM),
    "gaussian": GaussianCostModel(Gaussian()),
    "pingpong": PINGPONG,
}


@pytest.mark.parametrize("check", COST_MODEL_CHECKS)
@pytest.mark.parametrize("landscape", [convolution, sketched, fenced, tiny])
@pytest.mark.parametrize("model", COST_MODELS)
def test_conformance(
    model: str,
    landscape: Callable[[], Landscape],
    check: Callable[[CostModel, Landscape], None],
) -> None:
    check(COST_MODELS[model], landscape())


@pytest.mark.parametrize("model", COST_MODELS)
def test_learns_where_configurations_fail(model: str) -> None:
    land, rng = convolution(), np.random.default_rng(0)
    configs, held_out = land.space.random(rng, 200), land.space.random(rng, 500)

    def fails(rows: np.ndarray) -> np.ndarray:
        return rows[:, 6] == 2

    fitness = np.where(fails(configs), 0.0, land(configs))
    predicted = COST_MODELS[model].fit(land.space, known(configs, fitness), rng)(held_out)
    best = held_out[np.argsort(-predicted)[:50]]
    assert fails(best).mean() < 0.25 * fails(held_out).mean()


def test_another_seed_gives_other_trees() -> None:
    land = convolution()
    queries = land.space.random(np.random.default_rng(9), 100)
    configs = land.space.random(np.random.default_rng(8), 100)
    one, other = (
        PLAIN.fit(land.space, known(configs, land(configs)), np.random.default_rng(seed))(queries)
        for seed in (1, 2)
    )
    assert (one != other).any()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_constant_fitness_predicts_it(value: float, rows: int) -> None:
    land = convolution()
    rng = np.random.default_rng(0)
    configs = land.space.random(rng, rows)
    score = PLAIN.fit(land.space, known(configs, np.full(rows, value)), rng)
    np.testing.assert_allclose(score(land.space.random(rng, 20)), value, atol=1e-4)


@pytest.mark.parametrize(
    ("predicted", "count", "recall"),
    [
        # The share of the best m + 1 among the first m: 0, 1/2, 2/3, 3/4.
        ([4, 3, 2, 1], 4, (0 + 1 / 2 + 2 / 3 + 3 / 4) / 4),
        # In places 0 to 3 are ranks 3, 2, 1, 0: none <= 1, none of the first two <= 2 but one.
        ([1, 2, 3, 4], 4, (0 + 0 + 1 / 3 + 3 / 4) / 4),
        # Ranks 1, 0, 3, 2.
        ([3, 4, 1, 2], 4, (0 + 1 / 2 + 2 / 3 + 3 / 4) / 4),
        # Ranks 2, 0, 1, 3.
        ([3, 2, 4, 1], 4, (0 + 0 + 2 / 3 + 3 / 4) / 4),
        ([3, 2, 4, 1], 2, 0.0),
        ([4, 3, 2, 1], 9, (0 + 1 / 2 + 2 / 3 + 3 / 4) / 4),
    ],
)
def test_average_recall_of_four(predicted: list[float], count: int, recall: float) -> None:
    actual = np.array([0.9, 0.5, 0.3, 0.0])
    assert average_recall(np.array(predicted), actual, count) == pytest.approx(recall)


def test_early_stop_counts_from_the_best_recall() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    configs = land.space.random(rng, 200)

    def rounds(options: Boosting) -> int:
        experience = known(configs, land(configs))
        score = XGBoostCostModel(options).fit(land.space, experience, np.random.default_rng(0))
        return score._booster.num_boosted_rounds()

    assert rounds(replace(AUTOTVM, rounds=30, recall=None)) == 30
    patient, impatient = rounds(AUTOTVM), rounds(replace(AUTOTVM, patience=4))
    assert 20 < patient < 1000
    assert 4 < impatient < patient
    # A recall at 1 is 0 whatever the prediction: nothing ever is better than the first round.
    assert rounds(replace(AUTOTVM, recall=1)) == AUTOTVM.patience + 1


@pytest.mark.parametrize("plans", [2, 3, 4, 5])
def test_fitness_and_uncertainty_take_turns(plans: int) -> None:
    land, rng = convolution(), np.random.default_rng(0)
    configs, held_out = land.space.random(rng, 60 * plans), land.space.random(rng, 500)
    # Where knob 6 is 2 a coin decides, so that nothing learnt holds there.
    coin = np.where(configs[:, 6] == 2, rng.integers(0, 2, len(configs)), 0.5)
    fitness = np.clip(0.5 * land(configs) + 0.4 * coin, 0.01, 1)
    score = PINGPONG.fit(land.space, known(configs, fitness, plans), rng)(held_out)
    uncertain = held_out[:, 6] == 2
    if plans % 2:
        assert rank_correlation(score, land(held_out)) > 0.5
    else:
        assert score[uncertain].mean() > 1.5 * score[~uncertain].mean()


def test_the_filter_waits_for_samples_of_both_kinds() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    configs, held_out = land.space.random(rng, 100), land.space.random(rng, 500)
    for failed, turned_down in ((0, False), (7, False), (8, True), (92, True), (93, False)):
        order = np.argsort(configs[:, 0], kind="stable")
        fitness = np.full(100, 0.5)
        fitness[order[:failed]] = 0
        score = PINGPONG.fit(land.space, known(configs, fitness), rng)(held_out)
        assert (score < TURNED_DOWN).any() == turned_down
        if turned_down:
            assert (score > 0.2).any()


def failed_share(
    land: Landscape, fails: Callable, model: CostModel, sampler: Sampler, count: int, seed: int
) -> float:
    """Share of failures in five plans of 64 after a random one."""
    rng, space = np.random.default_rng(seed), land.space
    explorer = AnnealingExplorer(Annealing(chains=64, steps=60), count)
    agent: Agent = {}
    seen, plans = space.random(rng, 64), np.zeros(64, dtype=np.int64)
    for plan in range(1, 6):
        fitness = np.where(fails(seen), 0, land(seen))
        score = model.fit(space, Experience(seen, fitness / fitness.max(), plans), rng)
        trail = explorer.explore(space, score, seen, agent, rng)
        batch, agent = sampler.select(space, trail, seen, 64, rng).configs, trail.agent
        seen = np.concatenate([seen, batch])
        plans = np.append(plans, np.full(len(batch), plan))
    return float(fails(seen[64:]).mean())


def test_the_filter_halves_the_failures() -> None:
    land = replace(convolution(), scale=16.0)

    def tile_sizes(configs: np.ndarray) -> np.ndarray:
        return land.space.coordinates(configs)[:, [0, 3, 9]].sum(axis=1)

    draws = tile_sizes(land.space.random(np.random.default_rng(0), 4000))
    limit = np.quantile(draws, 0.6) + 1e-9
    unfiltered = PingPongCostModel(PingPong(samples=1 << 30), Boosting())
    active, greedy = ActiveSampler(Sampling()), GreedySampler(Sampling())
    shares = {}
    for name, model, sampler, count in (
        ("alt", PINGPONG, active, 640),
        ("unfiltered", unfiltered, active, 640),
        ("greedy", PLAIN, greedy, 64),
    ):
        shares[name] = np.mean(
            [
                failed_share(land, lambda c: tile_sizes(c) > limit, model, sampler, count, seed)
                for seed in range(3)
            ]
        )
    assert 0.35 < (draws > limit).mean() < 0.45
    assert 2 * shares["alt"] < shares["greedy"]
    assert 2 * shares["alt"] < shares["unfiltered"]
