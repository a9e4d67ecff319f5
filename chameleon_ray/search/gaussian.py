"""The Gaussian-process cost model: what was tried in, the expected improvement of any other out.

Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapters 2 and 5; expected
improvement: Jones, Schonlau and Welch, *Efficient Global Optimization of Expensive Black-Box
Functions*, 1998, equation 15.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import erfcx, ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from chameleon_ray.options import Gaussian
from chameleon_ray.search.boosting import boosted
from chameleon_ray.search.cost_model import Experience, informative
from chameleon_ray.search.explorer import Score
from chameleon_ray.space import DesignSpace

UNLIKELY = 0.01
"""Least probability of working that anything is given."""
TEMPER = 10
"""The root of the expected improvement that is the score."""
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
        process: Fitted to what worked (1) and what did not (0).
        least: Probability below which a configuration scores less than any above it.
    """

    process: GaussianProcessRegressor
    least: float

    def __call__(self, points: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """``(n,)`` scores in [0, 1] of ``(n, inputs)`` points -> ``(n,)`` in [-1, 1]."""
        likely = np.clip(self.process.predict(points), UNLIKELY, 1.0)
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
            root = self.filter(points, root)
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
    """Regression on fitness by a Gaussian process with a length scale per feature.

    What fails has fitness 0, and is learnt by a second process besides, of what works.

    What other tasks teach is a prior: boosted trees over their records. The process is fitted to
    what the prior, times how far it holds for this task, leaves over.
    """

    def __init__(self, options: Gaussian) -> None:
        self.options = options

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Score:
        """Length scales and noise by maximum likelihood; see ``CostModel``.

        Where nothing was tried yet the score is the prior.
        """
        prior = None
        if known.lessons is not None:
            lessons = known.lessons
            prior = boosted(space, lessons.features, lessons.fitness, self.options.prior, rng)
            if not len(known.configs):
                return prior
        inputs = Inputs.of(space)
        rows = informative(known.fitness, self.options.rows, rng)
        configs, fitness = known.configs[rows], known.fitness[rows]
        points, works = inputs(configs), fitness > 0
        validity = None if works.all() else self._filter(points, works)
        trend = Trend.fitted(prior, configs, fitness)
        process = self._process(points, fitness - trend(configs))
        return ExpectedImprovement(inputs, process, trend, validity, float(fitness.max()))

    def _filter(self, points: np.ndarray, works: np.ndarray) -> Filter:
        process = self._process(points, works.astype(float))
        return Filter(process, self.options.doubtful * float(works.mean()))

    def _process(self, points: np.ndarray, fitness: np.ndarray) -> GaussianProcessRegressor:
        """Fitted to ``(n, inputs)`` points and ``(n,)`` fitness, in this thread."""
        options = self.options
        scales = np.full(points.shape[1], options.scale)
        signal = Matern(scales, options.scales, nu=options.smoothness)
        kernel = ConstantKernel(1.0, options.amplitudes) * signal
        kernel += WhiteKernel(options.noise, options.noises)
        process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=climb)
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            return process.fit(points, fitness)


def independent(features: np.ndarray) -> np.ndarray:
    """``(features,)`` bool: a largest set of columns of ``(choices, features)``, first ones first,
    none of which is a linear function of the others."""
    basis, chosen = np.ones((len(features), 1)), []
    for column in features.T:
        wider = np.column_stack([basis, column])
        chosen.append(bool(np.linalg.matrix_rank(wider) > basis.shape[1]))
        basis = wider if chosen[-1] else basis
    return np.array(chosen, dtype=bool)


def climb(
    objective: Callable[..., tuple[float, np.ndarray]], start: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, float]:
    """Where the objective is least, near enough: a fit's last steps cost more than they change."""
    found = minimize(
        objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": STEPS}
    )
    return found.x, float(found.fun)
