"""AutoTVM's greedy sampling: measures the best configurations of the trail."""

import numpy as np

from chameleon_ray.options import Sampling
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.selection import Selection, completed
from chameleon_ray.space import DesignSpace, unseen


class GreedySampler:
    """Takes the best of the trail.

    A share ``epsilon`` is random, and so is what a short trail lacks.
    """

    def __init__(self, options: Sampling) -> None:
        self.options = options

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> Selection:
        """Chooses one plan's batch; see ``Sampler``.

        The batch is smaller than ``count`` only where the space has no more to give.
        """
        greedy = count - round(self.options.epsilon * count)
        return completed(space, unseen(trail.configs, seen)[:greedy], seen, count, rng)
