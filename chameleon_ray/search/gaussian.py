"""The Gaussian-process cost model: what was tried in, the expected improvement of any other out.

Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapters 2 and 5; expected
improvement: Jones, Schonlau and Welch, *Efficient Global Optimization of Expensive Black-Box
Functions*, 1998, equation 15.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import erf
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from chameleon_ray.options import Gaussian
from chameleon_ray.search.boosting import boosted
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.search.explorer import Score
from chameleon_ray.space import DesignSpace

DOUBT = 4
"""How many configurations' worth other tasks are trusted for."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Configurations as points of a box whose sides all have length 1.

    Attributes:
        space: Whose configurations they are.
        low: ``(features,)`` least value of every feature in the space.
        span: ``(features,)`` difference between its greatest and its least value; 0 drops it.
    """

    space: DesignSpace
    low: np.ndarray
    span: np.ndarray

    @staticmethod
    def of(space: DesignSpace) -> "Inputs":
        """Those of a space."""
        columns = [column for knob in space.knobs for column in knob.features.T]
        low = [column.min() for column in columns]
        span = [np.ptp(column) for column in columns]
        return Inputs(space, np.array(low), np.array(span))

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n, inputs)``; 0.5 for knobs that do not count."""
        used = self.span > 0
        points = (self.space.features(configs)[:, used] - self.low[used]) / self.span[used]
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
class ExpectedImprovement:
    """How much a configuration is expected to add to the best fitness.

    Attributes:
        inputs: What the process is a function of.
        process: Fitted to what the trend leaves of the fitness.
        trend: What other tasks taught, as far as it holds.
        best: The best fitness so far.
    """

    inputs: Inputs
    process: GaussianProcessRegressor
    trend: Trend
    best: float

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` float32 expected improvement of fitness."""
        if not len(configs):
            return np.empty(0, dtype=np.float32)
        rest, deviation = self.process.predict(self.inputs(configs), return_std=True)
        deviation = np.maximum(deviation, 1e-9)
        gain = (self.trend(configs) + rest - self.best) / deviation
        density = np.exp(-(gain**2) / 2) / np.sqrt(2 * np.pi)
        return (deviation * (gain * (1 + erf(gain / np.sqrt(2))) / 2 + density)).astype(np.float32)


class GaussianCostModel:
    """Regression on fitness by a Gaussian process with a length scale per feature.

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
        trend = Trend.fitted(prior, configs, fitness)
        process = self._process(inputs(configs), fitness - trend(configs))
        return ExpectedImprovement(inputs, process, trend, float(known.fitness.max()))

    def _process(self, points: np.ndarray, fitness: np.ndarray) -> GaussianProcessRegressor:
        """Fitted to ``(n, inputs)`` points and ``(n,)`` fitness, in this thread."""
        options = self.options
        scales = np.full(points.shape[1], options.scale)
        signal = Matern(scales, options.scales, nu=options.smoothness)
        kernel = ConstantKernel(1.0, options.amplitudes) * signal
        kernel += WhiteKernel(options.noise, options.noises)
        process = GaussianProcessRegressor(kernel, normalize_y=True)
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            return process.fit(points, fitness)


def informative(fitness: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers of ``count`` records to learn from: half the best ones, half drawn from the rest.

    The cost of a process grows with the cube of their number.
    """
    order = np.argsort(-fitness, kind="stable")
    if len(order) <= count:
        return np.sort(order)
    best, rest = order[: count // 2], order[count // 2 :]
    return np.sort(np.append(best, rng.choice(rest, count - len(best), replace=False)))
