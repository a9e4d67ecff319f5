"""An explorer: hill climbing with random restarts."""

import numpy as np

from chameleon_ray.options import Search
from chameleon_ray.search.explorer import Agent, Score, Trail, best
from chameleon_ray.space import DesignSpace

CLIMBERS = 32
"""Number of climbers."""
STEPS = 100
"""Number of moves that each climber tries in one plan."""
PATIENCE = 25
"""Number of moves in a row that lead nowhere, after which a climber starts again elsewhere."""


def climbing(search: Search) -> "Climbing":
    """Makes the explorer; the entry point names this function."""
    return Climbing(search.sampling.candidates)


class Climbing:
    """An explorer whose climbers take any move upwards.

    The next plan's climbers start where those of this plan have got to.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def explore(
        self,
        space: DesignSpace,
        score: Score,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores for one plan; see ``Explorer``. The agent holds the climbers' ``places``."""
        # Places, not choices: they mean the same in a space with other extents.
        configs = space.nearest(agent["places"]) if agent else space.random(rng, CLIMBERS)
        heights, idle = score(configs), np.zeros(len(configs), dtype=np.int64)
        visited, scored = [configs], [heights]
        for _ in range(STEPS):
            lost = idle >= PATIENCE
            tried = space.mutate(rng, configs)
            tried[lost] = space.random(rng, int(lost.sum()))
            found = score(tried)
            better = lost | (found > heights)
            configs = np.where(better[:, None], tried, configs)
            heights, idle = np.where(better, found, heights), np.where(better, 0, idle + 1)
            visited.append(tried)
            scored.append(found)
        everything, scores = np.concatenate(visited), np.concatenate(scored)
        top = best(everything, scores, seen, self.count)
        agent = {"places": space.coordinates(configs)}
        return Trail(everything[top], scores[top], agent, queries=len(everything))
