"""Exhaustive exploration: scores every configuration of a small space."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from chameleon_ray.search.explorer import Agent, Explorer, Score, Trail, best
from chameleon_ray.space import DesignSpace

SCORED_WHOLE = "scored whole"


def walked_by(space: DesignSpace, limit: int, walker: str) -> str:
    """Returns the name of what explores a space: the walker's, or ``SCORED_WHOLE``.

    Args:
        space: The space.
        limit: Size of the largest space that is scored whole; 0 where none is.
        walker: Name of the explorer of larger ones.
    """
    return SCORED_WHOLE if space.size <= limit else walker


class ExhaustiveExplorer:
    """Scores a small space whole, which no walk can better; leaves large spaces to a walker."""

    def __init__(self, limit: int, count: int, walker: Callable[[], Explorer]) -> None:
        """Takes the size of the largest small space, the trail's length and a walker's maker."""
        self.limit, self.count = limit, count
        self._make_walker = walker

    @cached_property
    def walker(self) -> Explorer:
        """The explorer of large spaces, made for the first of them: it may be slow to start."""
        return self._make_walker()

    def explore(
        self,
        space: DesignSpace,
        score: Score,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores for one plan; see ``Explorer``."""
        if space.size > self.limit:
            return self.walker.explore(space, score, seen, agent, rng)
        configs = space.enumerate()
        scores = np.nan_to_num(np.asarray(score(configs), dtype=float), posinf=0, neginf=0)
        top = best(configs, scores, seen, self.count)
        return Trail(configs[top], scores[top], agent, queries=len(configs))
