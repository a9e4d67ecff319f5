"""Roulette: a trail in, candidates drawn from it out, the better ones more often."""

import numpy as np

from chameleon_ray.options import Search
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.selection import Selection, completed
from chameleon_ray.space import DesignSpace, unseen


def roulette(search: Search) -> "Roulette":
    """What the entry point names; it needs none of the options."""
    return Roulette()


class Roulette:
    """Draws without replacement; the chance of the n-th best is proportional to 1/n."""

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> Selection:
        """One plan's batch; see ``Sampler``. What a short trail lacks is random."""
        candidates = unseen(trail.configs, seen)
        # Gumbel's trick: the largest of these are drawn without replacement, by 1 / rank.
        keys = rng.gumbel(size=len(candidates)) - np.log(np.arange(len(candidates)) + 1)
        drawn = candidates[np.argsort(-keys)[:count]]
        return completed(space, drawn, seen, count, rng)
