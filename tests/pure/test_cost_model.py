"""The XGBoost cost model on landscapes: it must rank what it has not seen."""

import pickle
import threading
from collections.abc import Callable

import numpy as np
import pytest

from chameleon_ray.options import Boosting
from chameleon_ray.search.boosting import BoostedScore, XGBoostCostModel
from chameleon_ray.search.cost_model import Experience
from tests.pure.landscape import Landscape, convolution, sketched, tiny

MODEL = XGBoostCostModel(Boosting())


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, for values without ties."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def known(configs: np.ndarray, fitness: np.ndarray) -> Experience:
    """All tried in one plan."""
    return Experience(configs, fitness, np.zeros(len(configs), dtype=np.int64))


def fitted(land: Landscape, rows: int, seed: int = 0) -> tuple[BoostedScore, np.random.Generator]:
    """A score learnt from random configurations, and the generator that drew them."""
    rng = np.random.default_rng(seed)
    configs = land.space.random(rng, rows)
    return MODEL.fit(land.space, known(configs, land(configs)), rng), rng


@pytest.mark.parametrize("landscape", [convolution, sketched])
def test_ranks_configurations_it_has_not_seen(landscape: Callable[[], Landscape]) -> None:
    land = landscape()
    score, rng = fitted(land, 128)
    held_out = land.space.random(rng, 500)
    assert rank_correlation(score(held_out), land(held_out)) > 0.6


def test_learns_where_configurations_fail() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    configs, held_out = land.space.random(rng, 200), land.space.random(rng, 500)

    def fails(rows: np.ndarray) -> np.ndarray:
        return rows[:, 6] == 2

    fitness = np.where(fails(configs), 0.0, land(configs))
    predicted = MODEL.fit(land.space, known(configs, fitness), rng)(held_out)
    failing = fails(held_out)
    assert predicted[failing].mean() < 0.5 * predicted[~failing].mean()


def test_same_seed_gives_same_predictions_and_another_does_not() -> None:
    land = convolution()
    queries = land.space.random(np.random.default_rng(9), 100)
    configs = land.space.random(np.random.default_rng(8), 100)
    once, again, other = (
        MODEL.fit(land.space, known(configs, land(configs)), np.random.default_rng(seed))(queries)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_score_survives_pickling_before_and_after_use() -> None:
    land = sketched()
    score, rng = fitted(land, 64)
    queries = land.space.random(rng, 50)
    fresh = pickle.dumps(score)
    expected = score(queries)
    used = pickle.dumps(score)
    for copy in (fresh, used):
        np.testing.assert_array_equal(pickle.loads(copy)(queries), expected)
    # The loaded booster stays in its process.
    assert len(used) < len(fresh) + 20_000


def test_score_is_one_float_per_row() -> None:
    land = convolution()
    score, _ = fitted(land, 64)
    for rows in (0, 1, 3, 1000):
        predicted = score(land.space.random(np.random.default_rng(0), rows))
        assert predicted.shape == (rows,)
        assert predicted.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_constant_fitness_predicts_it(value: float, rows: int) -> None:
    land = convolution()
    rng = np.random.default_rng(0)
    configs = land.space.random(rng, rows)
    score = MODEL.fit(land.space, known(configs, np.full(rows, value)), rng)
    np.testing.assert_allclose(score(land.space.random(rng, 20)), value, atol=1e-4)


def test_few_rows_and_single_choices() -> None:
    land = tiny()
    configs = land.space.enumerate()
    for rows in (1, 2, 3):
        score = MODEL.fit(
            land.space, known(configs[:rows], land(configs[:rows])), np.random.default_rng(0)
        )
        assert np.isfinite(score(configs)).all()


def test_fits_in_this_thread() -> None:
    before = threading.active_count()
    fitted(convolution(), 64)
    assert threading.active_count() == before
