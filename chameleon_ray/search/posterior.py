"""The posterior: how much faster than the best one a configuration that was not measured may be.

A Gaussian process of few parameters is fitted to a power of the fitness, whose differences are
greatest near the best: what is far from it need not be foretold well. The bound is a quantile of
the greatest fitness among all rivals, the configurations that were not measured, as if they were
independent. Rivals resemble each other, so by Slepian's inequality (1962) the bound of a right
process is too wide rather than too narrow; a factor of the deviations makes up for both that and
a wrong process, and was found on recorded tables. A search that stops where such a bound is small
is the subject of Wilson, *Stopping Bayesian Optimization with Probabilistic Regret Bounds*, 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import log_ndtr, ndtr, ndtri

from chameleon_ray.options import Bounding
from chameleon_ray.record import Record
from chameleon_ray.search.cost_model import informative
from chameleon_ray.search.covariance import NoisyMatern
from chameleon_ray.search.linear_algebra import pools
from chameleon_ray.search.unit_box import UnitBox
from chameleon_ray.space import DesignSpace, unseen
from chameleon_ray.vendor import is_searched

FREE = ((1e-9, 1e9),) * 3
"""Bounds of a kernel's parameters where none is fitted by a climb."""
FARTHEST = 10.0
"""Greatest fitness that a rival is thought to have, over the best one's."""
STEPS = 200
"""Points of the sum that stands for the expected gain."""


@dataclass(frozen=True, eq=False)
class Rivals:
    """What is believed of the configurations that were not measured.

    Attributes:
        means: ``(n,)`` expected value of a power of the fitness, which is the throughput over the
            best one measured.
        deviations: ``(n,)`` standard deviations of it.
        power: The exponent.
        works: Probability that a configuration works.
        whole: Whether these are all rivals of the space, not a sample.
    """

    means: np.ndarray
    deviations: np.ndarray
    power: float
    works: float
    whole: bool

    def within(self, confidence: float) -> float:
        """Returns the bound: by how much the best latency may exceed the least of the space.

        Args:
            confidence: Probability with which it does not exceed it by more.

        Returns:
            A share of the least latency: 0.03 for 3 %. Infinite where nothing is known.
        """
        if not len(self.means):
            return 0.0
        target = np.log(confidence)

        def excess(fitness: float) -> float:
            return self._none_above(np.array([fitness]))[0] - target

        if excess(1.0) >= 0:
            return 0.0
        if excess(FARTHEST) < 0:
            return float("inf")
        from scipy.optimize import brentq  # takes 0.4 s

        return float(brentq(excess, 1.0, FARTHEST, xtol=1e-5)) - 1.0

    def told(self, confidence: float) -> str:
        """Tells the bound in words."""
        share, sure = self.within(confidence), f"with {confidence:.0%} confidence"
        space = "its space" if self.whole else f"{len(self.means)} others of its space"
        if not share:
            return f"the best of {space} {sure}"
        return f"within {100 * share:.2g} % of the best of {space} {sure}"

    def worth(self, count: int) -> float:
        """Returns the share of the best latency that ``count`` more measurements are to save."""
        if not len(self.means) or count < 1:
            return 0.0
        gain = (self.means - 1.0) / self.deviations
        density = np.exp(-(gain**2) / 2) / np.sqrt(2 * np.pi)
        hopes = self.deviations * (density + gain * ndtr(gain))
        most = np.argsort(-hopes)[:count]
        chosen = Rivals(self.means[most], self.deviations[most], self.power, self.works, False)
        top = max(float((chosen.means + 6 * chosen.deviations).max()), 1.0) ** (1 / self.power)
        grid = np.linspace(1.0, top, STEPS)
        expected = float(np.trapezoid(-np.expm1(chosen._none_above(grid)), grid))
        return expected / (1 + expected)

    def _none_above(self, fitness: np.ndarray) -> np.ndarray:
        """Returns the ``(k,)`` logarithms of the probability that no rival is above ``fitness``."""
        apart = (fitness[:, None] ** self.power - self.means) / self.deviations
        if self.works == 1.0:
            return log_ndtr(apart).sum(axis=1)
        return np.log1p(-self.works * ndtr(-apart)).sum(axis=1)


def rivals(space: DesignSpace, records: Sequence[Record], options: Bounding) -> Rivals | None:
    """Judges the rivals of a layer's best record.

    Args:
        space: Design space of the layer.
        records: All records of the layer; the default schedule's and a vendor's are not used but
            for the best latency.
        options: Settings of the process and of the sample of a large space.

    Returns:
        None where too few configurations of the space worked to learn from.
    """
    rng = np.random.default_rng(len(records))  # the same records give the same bound
    tried = [record for record in records if is_searched(record.config)]
    worked = [record for record in tried if record.latencies]
    if len(worked) < options.least:
        return None
    configs = np.array([record.config for record in tried], dtype=np.int64)
    best = min(record.latency for record in records)
    fitness = np.array([best / record.latency for record in worked])
    points = np.array([record.config for record in worked], dtype=np.int64)
    rows = informative(fitness, options.rows, rng)
    whole = space.size <= options.rivals
    left = space.enumerate() if whole else space.random(rng, options.rivals)
    left = unseen(left, configs)
    box = UnitBox.of(space)
    with pools().limit(limits=1):
        means, deviations = judged(
            box(points[rows]), fitness[rows] ** options.power, box(left), options
        )
    share = (len(worked) + 1) / (len(tried) + 1)
    return Rivals(means, options.caution * deviations, options.power, share, whole)


def judged(
    points: np.ndarray, fitness: np.ndarray, left: np.ndarray, options: Bounding
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a process by the likelihood of a few kernels, and predicts.

    The variance of the signal has a closed form, so a kernel costs one Cholesky decomposition
    (Rasmussen and Williams, 2006, equation 2.30; Santner et al., 2003, section 3.3).

    Args:
        points: ``(n, inputs)`` points of measured configurations.
        fitness: ``(n,)`` what is known of them.
        left: ``(m, inputs)`` points to predict.
        options: The kernels to choose from.

    Returns:
        ``(m,)`` means and ``(m,)`` standard deviations, the noise's included.
    """
    count, centre = len(fitness), fitness.mean()
    off, best = fitness - centre, None
    for scale, noise in product(options.scales, options.noises):
        kernel = NoisyMatern(1.0, np.full(points.shape[1], scale), noise, FREE)
        root = cholesky(kernel(points), lower=True)
        weights = cho_solve((root, True), off)
        variance = max(float(off @ weights) / count, 1e-12)
        likelihood = -count / 2 * np.log(variance) - np.log(np.diag(root)).sum()
        if best is None or likelihood > best[0]:
            best = likelihood, kernel, root, weights, variance
    assert best is not None, "there is a kernel to choose"
    _, kernel, root, weights, variance = best
    shared = np.asarray(kernel(points, left))
    known = solve_triangular(root, shared, lower=True)
    spread = np.maximum(kernel.diag(left) - (known**2).sum(axis=0), kernel.noise)
    surprise = surprise_of(root, weights, variance)
    return centre + shared.T @ weights, surprise * np.sqrt(variance * spread)


def surprise_of(root: np.ndarray, weights: np.ndarray, variance: float) -> float:
    """Tells how much wider a process should be, so that it would have foretold its own records.

    Each record is foretold from all others (Rasmussen and Williams, 2006, equation 5.12). Where the
    greatest excess over what was foretold is more than so many normal draws would have, rivals may
    exceed it by as much.

    Args:
        root: ``(n, n)`` Cholesky factor of the records' covariance, over the variance.
        weights: ``(n,)`` solution of the covariance for the records.
        variance: Variance of the signal.

    Returns:
        A factor of the deviations, at least 1.
    """
    inverse = cho_solve((root, True), np.eye(len(root)))
    excess = weights / np.sqrt(np.diag(inverse) * variance)
    return max(1.0, float(excess.max() / ndtri(1 - 0.5 / len(root))))
