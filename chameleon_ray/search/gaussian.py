"""The Gaussian-process cost model, whose score is the expected improvement.

Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapters 2 and 5; expected
improvement: Jones, Schonlau and Welch, *Efficient Global Optimization of Expensive Black-Box
Functions*, 1998, equation 15.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize
from scipy.special import erfcx, ndtr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel

from chameleon_ray.options import Gaussian
from chameleon_ray.search.boosting import boosted
from chameleon_ray.search.cost_model import Experience, informative
from chameleon_ray.search.covariance import NoisyMatern
from chameleon_ray.search.explorer import Score
from chameleon_ray.search.linear_algebra import pools
from chameleon_ray.search.unit_box import UnitBox
from chameleon_ray.space import DesignSpace

UNLIKELY = 0.01
"""Least probability of working that a configuration is given."""
TEMPER = 10
"""Degree of the root of the expected improvement that is the score."""
SCALES = (0.05, 20.0)
"""Bounds of a length scale."""
STEPS = 10
"""Most steps of the search for a kernel's parameters."""
DOUBT = 4
"""Number of configurations that the trust in other tasks weighs as much as."""


@dataclass(frozen=True, eq=False)
class Trend:
    """The part of the fitness that other tasks predict: ``slope`` times the prior.

    Attributes:
        prior: A score learnt from other tasks; None where they taught nothing.
        slope: Factor of the prior, not negative.
    """

    prior: Score | None
    slope: float

    @staticmethod
    def fitted(prior: Score | None, configs: np.ndarray, fitness: np.ndarray) -> "Trend":
        """Fits the slope by least squares, drawn towards 1 as by ``DOUBT`` more configurations."""
        if prior is None:
            return Trend(None, 0.0)
        foretold = prior(configs)
        foretold, actual = foretold - foretold.mean(), fitness - fitness.mean()
        doubt = DOUBT * max(foretold.var(), 1e-6)
        slope = (foretold @ actual + doubt) / (foretold @ foretold + doubt)
        return Trend(prior, max(float(slope), 0.0))

    def __call__(self, configs: np.ndarray) -> np.ndarray | float:
        """Predicts the ``(n,)`` fitness of ``(n, knobs)`` configurations, up to a constant."""
        return 0.0 if self.prior is None else self.slope * self.prior(configs)


@dataclass(frozen=True, eq=False)
class Filter:
    """Weighs scores by the probability of working, and turns down what probably fails.

    After Gelbart, Snoek and Adams, *Bayesian Optimization with Unknown Constraints*, 2014.

    Attributes:
        works: Predicts the probability that a configuration works.
        least: Probability below which a configuration scores less than all above it.
    """

    works: Score
    least: float

    def __call__(self, configs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Maps ``(n,)`` scores in [0, 1] of ``(n, knobs)`` configurations to [-1, 1]."""
        likely = np.clip(self.works(configs), UNLIKELY, 1.0)
        return scores * likely - (likely < self.least)


@dataclass(frozen=True, eq=False)
class ExpectedImprovement:
    """The expected gain of a configuration over the best fitness, tempered.

    The score is the ``TEMPER``-th root. It puts configurations in the same order, and keeps their
    differences visible where the expectation all but vanishes, which is nearly everywhere.

    Attributes:
        inputs: The inputs of the process.
        process: Fitted to the part of the fitness that the trend does not explain.
        trend: The prediction of other tasks, as far as it holds.
        filter: Predicts failures; None where everything worked.
        best: The best fitness so far.
    """

    inputs: UnitBox
    process: GaussianProcessRegressor
    trend: Trend
    filter: Filter | None
    best: float

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` float32 scores of ``(n, knobs)`` configurations."""
        if not len(configs):
            return np.empty(0, dtype=np.float32)
        points = self.inputs(configs)
        rest, deviation = self.process.predict(points, return_std=True)
        deviation = np.maximum(deviation, 1e-9)
        gain = (self.trend(configs) + rest - self.best) / deviation
        logarithm = np.log(deviation) + log_improvement(gain)
        root = np.exp(logarithm / TEMPER)
        if self.filter is not None:
            root = self.filter(configs, root)
        return root.astype(np.float32)


def log_improvement(gain: np.ndarray) -> np.ndarray:
    """Computes the logarithm of E[max(x, 0)] for a normal x of mean ``gain`` and variance 1.

    After Ament et al., *Unexpected Improvements to Expected Improvement for Bayesian Optimization*,
    2023, equation 9.
    """
    low = np.clip(gain, -1e4, -1.0)
    ratio = low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
    tail = -(low**2) / 2 - np.log(2 * np.pi) / 2 + np.log1p(ratio)
    high = np.maximum(gain, -1.0)
    density = np.exp(-(high**2) / 2) / np.sqrt(2 * np.pi)
    return np.where(gain < -1, tail, np.log(density + high * ndtr(high)))


class FittedMatern(NoisyMatern, Kernel):
    """The covariance as a kernel of scikit-learn, which fits its parameters."""


class GaussianCostModel:
    """A Gaussian process with a length scale per feature, fitted to the fitness of what works.

    Where something failed, boosted trees learn what works. That is a matter of thresholds, which
    suit trees better than a smooth process.

    The records of other tasks give a prior, which boosted trees learn. The process is fitted to the
    rest: the fitness minus the prior, times the slope with which it holds for this task.
    """

    def __init__(self, options: Gaussian) -> None:
        self.options = options

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Score:
        """Fits length scales and noise of the greatest posterior density; see ``CostModel``.

        The score is the prior where nothing was tried yet.
        """
        prior = None
        if known.lessons is not None:
            lessons = known.lessons
            prior = boosted(space, lessons.features, lessons.fitness, self.options.prior, rng)
            if not len(known.configs):
                return prior
        works = known.fitness > 0 if known.fitness.any() else known.fitness == 0
        validity = None if works.all() else self._filter(space, known, works, rng)
        configs, fitness = known.configs[works], known.fitness[works]
        rows = informative(fitness, self.options.rows, rng)
        configs, fitness = configs[rows], fitness[rows]
        inputs, trend = UnitBox.of(space), Trend.fitted(prior, configs, fitness)
        process = self._process(inputs(configs), fitness - trend(configs))
        return ExpectedImprovement(inputs, process, trend, validity, float(fitness.max()))

    def _filter(
        self, space: DesignSpace, known: Experience, works: np.ndarray, rng: np.random.Generator
    ) -> Filter:
        """Fits a filter to everything tried; ``works`` is ``(n,)`` bool."""
        features, target = space.features(known.configs), works.astype(float)
        trees = self.options.filter
        likely = boosted(space, features, target, trees, rng, objective="binary:logistic")
        return Filter(likely, self.options.doubtful * float(works.mean()))

    def _process(self, points: np.ndarray, fitness: np.ndarray) -> GaussianProcessRegressor:
        """Fits the process to ``(n, inputs)`` points and ``(n,)`` fitness, in this thread."""
        options = self.options
        scales = np.full(points.shape[1], options.scale)
        limits = (options.amplitudes, SCALES, options.noises)
        kernel = FittedMatern(1.0, scales, options.noise, limits)
        climb = partial(climbed, median=options.scale, spread=options.spread)
        process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=climb)
        with pools().limit(limits=1):
            return process.fit(points, fitness)


def climbed(
    likelihood: Callable[..., tuple[float, np.ndarray]],
    start: np.ndarray,
    bounds: np.ndarray,
    median: float,
    spread: float,
) -> tuple[np.ndarray, float]:
    """Finds nearly the greatest posterior density: the last steps of a fit change little.

    Args:
        likelihood: Gives minus the logarithm of a kernel's likelihood, and its gradient.
        start: Logarithms of the kernel's parameters: amplitude, length scales, noise.
        bounds: ``(parameters, 2)``.
        median: Median of the length scales' prior, which is log-normal. Without a prior, the
            likelihood of a few dozen records of many features overfits.
        spread: Standard deviation of the prior's logarithm.

    Returns:
        The parameters' logarithms and minus the logarithm of the density there.
    """

    def density(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = likelihood(parameters)
        off = np.zeros_like(parameters)
        off[1:-1] = (parameters[1:-1] - np.log(median)) / spread
        return value + off @ off / 2, gradient + off / spread

    limits = {"maxiter": STEPS}
    found = minimize(density, start, method="L-BFGS-B", jac=True, bounds=bounds, options=limits)
    return found.x, float(found.fun)
