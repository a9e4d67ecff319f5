"""AutoTVM's diversity-aware sampling: picks the most varied of the best candidates."""

import numpy as np

from chameleon_ray.options import Sampling
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.selection import Selection, completed
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
    ) -> Selection:
        """Chooses one plan's batch; see ``Sampler``.

        The batch is smaller than ``count`` only where the space has no more to give.
        """
        candidates = unseen(trail.configs, seen)[: self.options.diversity * count]
        rows = diverse(space, candidates, count - round(self.options.epsilon * count))
        return completed(space, candidates[rows], seen, count, rng)


def diverse(space: DesignSpace, candidates: np.ndarray, count: int) -> np.ndarray:
    """Picks ``count`` of ``(n, knobs)`` candidates, or all, that have many different choices.

    This greedily maximises a submodular function, the number of (knob, choice) pairs covered. Each
    step takes the candidate that adds most new pairs, and the earlier one of equals. Knobs that do
    not count add nothing.

    Returns:
        Row numbers, in the order in which they were chosen.
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
