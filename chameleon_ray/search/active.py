"""ALT's active sampling: picks high-scoring candidates that are unlike each other.

Zeng et al.: *ALT: Optimizing Tensor Compilation in Deep Learning Compilers with Active Learning*,
ICCD 2020.
"""

import numpy as np

from chameleon_ray.options import Sampling
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.selection import Selection, completed
from chameleon_ray.space import DesignSpace, pack

TURNED_DOWN = -1.0
"""Score below which a configuration counts as expected to fail."""


class ActiveSampler:
    """Weighs score against distance; a share ``epsilon`` of the plan is random."""

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
        """Chooses one plan's batch (see ``Sampler``), without candidates that were turned down."""
        fresh = trail.scores >= TURNED_DOWN
        if len(seen) and len(fresh):
            fresh &= ~np.isin(pack(trail.configs), pack(seen))
        candidates, scores = trail.configs[fresh], trail.scores[fresh]
        places, recent = space.coordinates(candidates), space.coordinates(seen[-count:])
        wanted = count - round(self.options.epsilon * count)
        rows = spread(scores, places, recent, wanted, self.options.distance)
        return completed(space, candidates[rows], seen, count, rng)


def spread(
    scores: np.ndarray, places: np.ndarray, others: np.ndarray, count: int, weight: float
) -> np.ndarray:
    """Picks rows greedily by a weighted sum of score and distance, ``count`` of them or all.

    The value of a row is ``(1 - weight) * score + weight * distance``. Scores are scaled to [0, 1].
    The distance is that to the nearest row chosen before or of ``others``, in the space's
    diagonals.

    Args:
        scores: ``(n,)``, descending.
        places: ``(n, axes)`` in the unit cube.
        others: ``(m, axes)``.
        count: Most rows wanted.
        weight: Between 0 and 1.

    Returns:
        Row numbers of ``places``, in the order in which they were chosen.
    """
    gain = (scores - scores[-1:]) / (np.ptp(scores) or 1.0) if len(scores) else scores
    nearest = np.full(len(places), np.inf)
    for place in others:
        nearest = np.minimum(nearest, _distances(places, place))
    chosen: list[int] = []
    for _ in range(min(count, len(places))):
        # Without others the first choice has no neighbour: its distance is cut to 1.
        value = (1 - weight) * gain + weight * np.minimum(nearest, 1.0)
        value[chosen] = -np.inf
        chosen.append(int(np.argmax(value)))
        nearest = np.minimum(nearest, _distances(places, places[chosen[-1]]))
    return np.array(chosen, dtype=np.int64)


def _distances(places: np.ndarray, place: np.ndarray) -> np.ndarray:
    return np.sqrt(((places - place) ** 2).mean(axis=1))
