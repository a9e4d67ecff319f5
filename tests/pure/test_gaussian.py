"""The Gaussian-process cost model: its improvement is a known quantity, and it uses its lessons."""

import math

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from chameleon_ray.options import Gaussian
from chameleon_ray.search.cost_model import Experience, Lessons, informative
from chameleon_ray.search.gaussian import (
    TEMPER,
    ExpectedImprovement,
    FittedMatern,
    GaussianCostModel,
    Trend,
    UnitBox,
    climbed,
    log_improvement,
)
from tests.pure.landscape import Landscape, convolution, sketched

MODEL = GaussianCostModel(Gaussian())


def tried(land: Landscape, count: int, rng: np.random.Generator) -> Experience:
    configs = land.space.random(rng, count)
    fitness = land(configs)
    return Experience(configs, fitness / fitness.max(), np.zeros(count, dtype=np.int64))


class Certain(GaussianProcessRegressor):
    """Predicts what it is told."""

    def __init__(self, mean: float, deviation: float) -> None:
        self.told = mean, deviation

    def predict(self, points: np.ndarray, return_std: bool) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(points), self.told[0]), np.full(len(points), self.told[1])


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        (1.5, 1e-12, 0.5),
        (0.5, 1e-12, 0.0),
        (1.0, 2.0, 2.0 / math.sqrt(2 * math.pi)),
        (2.0, 1.0, 0.8413447 + 0.2419707),
    ],
)
def test_expected_improvement_by_hand(mean: float, deviation: float, expected: float) -> None:
    land = sketched()
    inputs = UnitBox.of(land.space)
    score = ExpectedImprovement(inputs, Certain(mean, deviation), Trend(None, 0.0), None, 1.0)
    gain = score(land.space.random(np.random.default_rng(0), 3))
    np.testing.assert_allclose(gain**TEMPER, expected, atol=1e-6)


def test_the_covariance_is_the_librarys() -> None:
    rng = np.random.default_rng(0)
    points, others, scales = rng.random((20, 4)), rng.random((7, 4)), rng.random(4) + 0.1
    limits = ((0.05, 20.0), (0.02, 30.0), (1e-6, 0.3))
    ours = FittedMatern(1.7, scales, 0.01, limits)
    theirs = ConstantKernel(1.7, limits[0]) * Matern(scales, limits[1], nu=2.5)
    theirs += WhiteKernel(0.01, limits[2])
    for theta in (ours.theta, rng.normal(size=6)):
        ours.theta, theirs.theta = theta, theta
        np.testing.assert_allclose(ours.theta, theta)
        np.testing.assert_allclose(theirs.theta, theta)
        pairs = zip(ours(points, None, True), theirs(points, None, True), strict=True)
        for mine, known in pairs:
            np.testing.assert_allclose(mine, known, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours(points), theirs(points), rtol=1e-9)
        np.testing.assert_allclose(ours(others, points), theirs(others, points), rtol=1e-9)
        np.testing.assert_allclose(ours.diag(points), theirs.diag(points))
    np.testing.assert_allclose(ours.bounds, theirs.bounds)


def test_the_logarithm_of_the_improvement_is_smooth_and_falls_for_ever() -> None:
    gain = np.linspace(-200, 5, 20_001)
    logarithm = log_improvement(gain)
    assert (np.diff(logarithm) > 0).all()
    assert np.abs(np.diff(logarithm, 2)).max() < 1e-3
    np.testing.assert_allclose(log_improvement(np.array([-10.0])), -55.5531, atol=1e-3)


def test_the_promising_and_unknown_is_worth_more_than_what_was_measured() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    known = tried(land, 100, rng)
    score = MODEL.fit(land.space, known, rng)
    fresh = land.space.random(rng, 2000)
    best = fresh[np.argsort(-score(fresh))[:20]]
    assert land(best).mean() > np.quantile(land(fresh), 0.9)
    assert score(known.configs).max() < score(fresh).max()


def test_inputs_span_a_unit_box() -> None:
    land = sketched()
    points = UnitBox.of(land.space)(land.space.enumerate())
    assert points.min() == 0
    assert points.max() == 1
    assert np.isfinite(points).all()
    # The unit box leaves no input out that tells two configurations apart.
    assert len(np.unique(points, axis=0)) == land.space.size


def test_lessons_are_the_score_before_anything_was_tried_and_help_after() -> None:
    land, rng = convolution(), np.random.default_rng(1)
    other = tried(land, 150, rng)
    lessons = Lessons(land.space.features(other.configs), other.fitness)
    nothing = Experience(other.configs[:0], other.fitness[:0], other.plans[:0], lessons)
    fresh = land.space.random(rng, 2000)
    score = MODEL.fit(land.space, nothing, rng)
    prior = np.corrcoef(score(fresh), land(fresh))[0, 1]
    assert prior > 0.5
    few = tried(land, 12, rng)
    gains = []
    for taught in (None, lessons):
        known = Experience(few.configs, few.fitness, few.plans, taught)
        fitted = MODEL.fit(land.space, known, np.random.default_rng(2))
        mean = fitted.trend(fresh) + fitted.process.predict(fitted.inputs(fresh))
        gains.append(np.corrcoef(mean, land(fresh))[0, 1])
    assert gains[1] > gains[0] + 0.1


def test_many_records_are_thinned_to_the_best_half_and_a_draw() -> None:
    fitness = np.random.default_rng(0).random(300)
    rows = informative(fitness, 100, np.random.default_rng(1))
    assert len(set(rows.tolist())) == 100
    assert set(np.argsort(-fitness)[:50].tolist()) <= set(rows.tolist())
    assert informative(fitness[:40], 100, np.random.default_rng(1)).tolist() == list(range(40))


@pytest.mark.parametrize("weight", [0.0, 1.0, 9.0])
def test_a_fit_lies_between_the_likeliest_length_scales_and_their_prior(weight: float) -> None:
    likeliest, median, spread = np.array([0.5, -1.0, 1.5, -3.0]), 0.7, 0.5

    def likelihood(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        off = parameters - likeliest
        weights = np.array([1.0, weight, weight, 1.0])
        return float(weights @ off**2 / 2), weights * off

    bounds = np.tile([-5.0, 5.0], (4, 1))
    found, _ = climbed(likelihood, np.zeros(4), bounds, median, spread)
    scales = (weight * likeliest[1:3] + np.log(median) / spread**2) / (weight + spread**-2)
    np.testing.assert_allclose(found, [0.5, *scales, -3.0], atol=0.01)
