"""The Gaussian-process cost model: what was tried in, the expected improvement of any other out.

Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapters 2 and 5; expected
improvement: Jones, Schonlau and Welch, *Efficient Global Optimization of Expensive Black-Box
Functions*, 1998, equation 15.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.optimize import minimize
from scipy.special import erfcx, ndtr
from sklearn.gaussian_process import GaussianProcessRegressor
from threadpoolctl import ThreadpoolController

from chameleon_ray.options import Gaussian
from chameleon_ray.search.boosting import boosted
from chameleon_ray.search.cost_model import Experience, informative
from chameleon_ray.search.covariance import NoisyMatern
from chameleon_ray.search.explorer import Score
from chameleon_ray.space import DesignSpace

UNLIKELY = 0.01
"""Least probability of working that anything is given."""
TEMPER = 10
"""The root of the expected improvement that is the score."""
SCALES = (0.05, 20.0)
"""Bounds of a length scale."""
STEPS = 10
"""Most steps of the search for a kernel's parameters."""
DOUBT = 4
"""How many configurations' worth other tasks are trusted for."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Configurations as points of a box whose sides all have length 1.

    Attributes:
        space: Whose configurations they are.
        used: ``(inputs,)`` numbers of the features that are inputs.
        low: ``(inputs,)`` least value of each in the space.
        span: ``(inputs,)`` difference between its greatest and its least value.
    """

    space: DesignSpace
    used: np.ndarray
    low: np.ndarray
    span: np.ndarray

    @staticmethod
    def of(space: DesignSpace) -> "Inputs":
        """Those features of a space that do not follow from others of the same knob."""
        used = np.concatenate([independent(knob.features) for knob in space.knobs])
        columns = [column for knob in space.knobs for column in knob.features.T]
        chosen = [columns[number] for number in np.flatnonzero(used)]
        low, span = [column.min() for column in chosen], [np.ptp(column) for column in chosen]
        return Inputs(space, np.flatnonzero(used), np.array(low), np.array(span))

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n, inputs)``; 0.5 for knobs that do not count."""
        points = (self.space.features(configs)[:, self.used] - self.low) / self.span
        return np.nan_to_num(points, nan=0.5)


@dataclass(frozen=True, eq=False)
class Trend:
    """The part of the fitness that other tasks foretell: ``slope`` times the prior.

    Attributes:
        prior: What other tasks taught, as a score; None where they taught nothing.
        slope: Not negative.
    """

    prior: Score | None
    slope: float

    @staticmethod
    def fitted(prior: Score | None, configs: np.ndarray, fitness: np.ndarray) -> "Trend":
        """Least squares, drawn towards a slope of 1 as by ``DOUBT`` configurations more."""
        if prior is None:
            return Trend(None, 0.0)
        foretold = prior(configs)
        foretold, actual = foretold - foretold.mean(), fitness - fitness.mean()
        doubt = DOUBT * max(foretold.var(), 1e-6)
        slope = (foretold @ actual + doubt) / (foretold @ foretold + doubt)
        return Trend(prior, max(float(slope), 0.0))

    def __call__(self, configs: np.ndarray) -> np.ndarray | float:
        """``(n, knobs)`` configurations -> ``(n,)`` fitness, up to a constant."""
        return 0.0 if self.prior is None else self.slope * self.prior(configs)


@dataclass(frozen=True, eq=False)
class Filter:
    """Weighs scores with the probability that a configuration works (Gelbart, Snoek and Adams,
    *Bayesian Optimization with Unknown Constraints*, 2014), and turns down what probably fails.

    Attributes:
        works: Predicts that probability.
        least: What is less likely than this scores less than all that is not.
    """

    works: Score
    least: float

    def __call__(self, configs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """``(n,)`` scores in [0, 1] of ``(n, knobs)`` configurations -> ``(n,)`` in [-1, 1]."""
        likely = np.clip(self.works(configs), UNLIKELY, 1.0)
        return scores * likely - (likely < self.least)


@dataclass(frozen=True, eq=False)
class ExpectedImprovement:
    """How much a configuration is expected to add to the best fitness, tempered.

    Its ``TEMPER``-th root puts configurations in the same order and keeps their differences
    visible where the expectation all but vanishes, which is nearly everywhere.

    Attributes:
        inputs: What the process is a function of.
        process: Fitted to what the trend leaves of the fitness.
        trend: What other tasks taught, as far as it holds.
        filter: Knows what fails; None where everything worked.
        best: The best fitness so far.
    """

    inputs: Inputs
    process: GaussianProcessRegressor
    trend: Trend
    filter: Filter | None
    best: float

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` float32 roots of the expected improvement."""
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
    """Logarithm of E[max(x, 0)] where x is normal with mean ``gain`` and variance 1.

    After Ament et al., *Unexpected Improvements to Expected Improvement for Bayesian
    Optimization*, 2023, equation 9.
    """
    low = np.clip(gain, -1e4, -1.0)
    ratio = low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
    tail = -(low**2) / 2 - np.log(2 * np.pi) / 2 + np.log1p(ratio)
    high = np.maximum(gain, -1.0)
    density = np.exp(-(high**2) / 2) / np.sqrt(2 * np.pi)
    return np.where(gain < -1, tail, np.log(density + high * ndtr(high)))


class GaussianCostModel:
    """Regression on the fitness of what works by a Gaussian process, a length scale per feature.

    Where something failed, boosted trees learn what works: that is a matter of thresholds, to
    which they are better suited than a smooth process.

    What other tasks teach is a prior: boosted trees over their records. The process is fitted to
    what the prior, times how far it holds for this task, leaves over.
    """

    def __init__(self, options: Gaussian) -> None:
        self.options = options

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Score:
        """Length scales and noise of the greatest posterior density; see ``CostModel``.

        Where nothing was tried yet the score is the prior.
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
        inputs, trend = Inputs.of(space), Trend.fitted(prior, configs, fitness)
        process = self._process(inputs(configs), fitness - trend(configs))
        return ExpectedImprovement(inputs, process, trend, validity, float(fitness.max()))

    def _filter(
        self, space: DesignSpace, known: Experience, works: np.ndarray, rng: np.random.Generator
    ) -> Filter:
        """Fitted to all that was tried; ``works`` is ``(n,)`` bool."""
        features, target = space.features(known.configs), works.astype(float)
        trees = self.options.filter
        likely = boosted(space, features, target, trees, rng, objective="binary:logistic")
        return Filter(likely, self.options.doubtful * float(works.mean()))

    def _process(self, points: np.ndarray, fitness: np.ndarray) -> GaussianProcessRegressor:
        """Fitted to ``(n, inputs)`` points and ``(n,)`` fitness, in this thread."""
        options = self.options
        scales = np.full(points.shape[1], options.scale)
        limits = (options.amplitudes, SCALES, options.noises)
        kernel = NoisyMatern(1.0, scales, options.noise, limits)
        climb = partial(climbed, median=options.scale, spread=options.spread)
        process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=climb)
        with pools().limit(limits=1):
            return process.fit(points, fitness)


@cache
def pools() -> ThreadpoolController:
    """The thread pools of this process's linear algebra; to look for them takes milliseconds."""
    return ThreadpoolController()


def independent(features: np.ndarray) -> np.ndarray:
    """``(features,)`` bool: a largest set of columns of ``(choices, features)``, first ones first,
    none of which is a linear function of the others."""
    basis, chosen = np.ones((len(features), 1)), []
    for column in features.T:
        wider = np.column_stack([basis, column])
        chosen.append(bool(np.linalg.matrix_rank(wider) > basis.shape[1]))
        basis = wider if chosen[-1] else basis
    return np.array(chosen, dtype=bool)


def climbed(
    likelihood: Callable[..., tuple[float, np.ndarray]],
    start: np.ndarray,
    bounds: np.ndarray,
    median: float,
    spread: float,
) -> tuple[np.ndarray, float]:
    """Where the posterior density is greatest, near enough: a fit's last steps change little.

    Args:
        likelihood: Gives minus the logarithm of a kernel's likelihood, and its gradient.
        start: Logarithms of the kernel's parameters: amplitude, length scales, noise.
        bounds: ``(parameters, 2)``.
        median: Of the length scales' prior, which is log-normal. Without one the likelihood of a
            few dozen records of many features overfits.
        spread: Deviation of its logarithm.
    """

    def density(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = likelihood(parameters)
        off = np.zeros_like(parameters)
        off[1:-1] = (parameters[1:-1] - np.log(median)) / spread
        return value + off @ off / 2, gradient + off / spread

    limits = {"maxiter": STEPS}
    found = minimize(density, start, method="L-BFGS-B", jac=True, bounds=bounds, options=limits)
    return found.x, float(found.fun)
