"""The cost model protocol: measured configurations in, a score for any configuration out."""

from typing import Protocol

import numpy as np

from chameleon_ray.search.explorer import Score
from chameleon_ray.space import DesignSpace


class CostModel(Protocol):
    """Learns a task's fitness from its records; keeps nothing between calls."""

    def fit(
        self,
        space: DesignSpace,
        configs: np.ndarray,
        fitness: np.ndarray,
        rng: np.random.Generator,
    ) -> Score:
        """Learns from all of a task's records, from scratch.

        Args:
            space: The task's design space.
            configs: ``(n, knobs)`` tried configurations, failed ones included.
            fitness: ``(n,)`` throughput over the task's best, in [0, 1]; 0 where it failed.
            rng: The only source of randomness.

        Returns:
            A picklable score.
        """
        ...
