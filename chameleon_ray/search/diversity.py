"""AutoTVM's diversity-aware sampling: a trail in, the most varied of its best out."""

import numpy as np

from chameleon_ray.options import Sampling
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.random_walk import fill
from chameleon_ray.space import DesignSpace, unseen


class DiversitySampler:
    """AutoTVM's ``diversity_filter_ratio``; a share ``epsilon`` of the plan is random."""

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
        candidates = unseen(trail.configs, seen)[: self.options.diversity * count]
        rows = diverse(space, candidates, count - round(self.options.epsilon * count))
        return fill(space, candidates[rows], seen, count, rng)


def diverse(space: DesignSpace, candidates: np.ndarray, count: int) -> np.ndarray:
    """Row numbers of ``count`` of ``(n, knobs)`` candidates, or of all, of many different choices.

    Greedy maximisation of a submodular function, the number of (knob, choice) pairs: one after the
    other the candidate with the most pairs that none before it has, the earlier one where several
    have as many. Knobs that do not count add nothing.
    """
    pairs = candidates + np.cumsum(space.dims) - space.dims
    counts = np.ones(candidates.shape, dtype=bool)
    if space.active is not None:
        counts = space.active[candidates[:, 0]]
    covered = np.zeros(space.dims.sum(), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        gain = (counts & ~covered[pairs]).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(np.argmax(gain)))
        covered[pairs[chosen[-1]][counts[chosen[-1]]]] = True
    return np.array(chosen, dtype=np.int64)
