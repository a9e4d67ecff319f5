"""Greedy sampling: a trail in, its best configurations and a few random ones out (AutoTVM)."""

import numpy as np

from chameleon_ray.options import Sampling
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.random_walk import fill
from chameleon_ray.space import DesignSpace, unseen


class GreedySampler:
    """The best of the trail; a share ``epsilon``, and what a short trail lacks, is random."""

    def __init__(self, options: Sampling) -> None:
        self.options = options

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """One plan's batch; see ``Sampler``. Shorter than ``count`` only at the space's end."""
        greedy = count - round(self.options.epsilon * count)
        return fill(space, unseen(trail.configs, seen)[:greedy], seen, count, rng)
