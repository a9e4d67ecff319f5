"""Uniform search: draws random unseen configurations, which the cost model ranks."""

import numpy as np

from chameleon_ray.options import RandomWalk
from chameleon_ray.search.explorer import Agent, Score, Trail
from chameleon_ray.space import DesignSpace, unseen

ENUMERATION = 4
"""Size of a space, over what is wanted and seen, up to which it is enumerated, not drawn from."""


class RandomExplorer:
    """The best ``count`` of uniform candidates by the score; learns and keeps nothing."""

    def __init__(self, options: RandomWalk, count: int) -> None:
        self.options = options
        self.count = count

    def explore(
        self,
        space: DesignSpace,
        score: Score,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores for one plan; see ``Explorer``."""
        configs = random_unseen(space, seen, self.options.candidates, rng)
        scores = score(configs)
        order = np.argsort(-scores, kind="stable")[: self.count]
        return Trail(configs[order], scores[order], queries=len(configs))


def random_unseen(
    space: DesignSpace, seen: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws ``count`` distinct random configurations that are not rows of ``seen``.

    Returns:
        ``(n, knobs)``; n < count only where the space has no more than n left.
    """
    if space.size <= ENUMERATION * (count + len(seen)):
        left = unseen(space.enumerate(), seen)
        return left[rng.permutation(len(left))[:count]]
    found, more = np.empty((0, len(space.knobs)), dtype=np.int64), True
    # The loop is short: most of the space, so most of a large sketch, is neither seen nor found.
    # Limits may leave fewer than are wanted; then a round that finds nothing is the last.
    while more and len(found) < count:
        before = len(found)
        found = unseen(np.concatenate([found, space.random(rng, count)]), seen)
        more = len(found) > before
    return found[:count]


def fill(
    space: DesignSpace,
    chosen: np.ndarray,
    seen: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Fills ``chosen`` up to ``count`` with random unseen configurations while there are any."""
    taken = np.concatenate([seen, chosen])
    return np.concatenate([chosen, random_unseen(space, taken, count - len(chosen), rng)])
