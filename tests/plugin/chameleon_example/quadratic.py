"""A cost model: ridge regression on the places of configurations and their squares."""

from dataclasses import dataclass

import numpy as np

from chameleon_ray.options import Search
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.space import DesignSpace

SHRINKAGE = 0.1
"""Weight of the squared coefficients against the squared errors."""


def quadratic(search: Search) -> "Quadratic":
    """Makes the cost model, which needs no options; the entry point names this function."""
    return Quadratic()


@dataclass(frozen=True, eq=False)
class QuadraticScore:
    """Predicts fitness.

    It is a class and no closure, as it is pickled on its way to the explorers.
    """

    space: DesignSpace
    coefficients: np.ndarray

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Predicts ``(n,)`` float32 fitness of ``(n, knobs)`` configurations."""
        return (terms(self.space, configs) @ self.coefficients).astype(np.float32)


class Quadratic:
    """Models fitness as a sum of parabolas, one along each axis; ignores other tasks."""

    def fit(
        self, space: DesignSpace, known: Experience, rng: np.random.Generator
    ) -> QuadraticScore:
        """Learns from scratch; see ``CostModel``. Where nothing was tried, every score is 0."""
        rows = terms(space, known.configs)
        penalty = SHRINKAGE * np.eye(rows.shape[1])
        coefficients = np.linalg.solve(rows.T @ rows + penalty, rows.T @ known.fitness)
        return QuadraticScore(space, coefficients)


def terms(space: DesignSpace, configs: np.ndarray) -> np.ndarray:
    """Returns ``(n, 1 + 2 * axes)``: a constant, the places on the axes, and their squares."""
    places = space.coordinates(configs)
    return np.hstack([np.ones((len(places), 1)), places, places**2])
