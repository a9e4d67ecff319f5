"""A worker that does all three parts of the search, for machines with few cores."""

from typing import Any

import numpy as np

from chameleon_ray.search.cost_model import CostModel, Experience
from chameleon_ray.search.explorer import Agent, Explorer, Trail
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.search.selection import Selection
from chameleon_ray.space import DesignSpace


class Searcher:
    """A cost model, an explorer and a sampler in one worker.

    One process starts instead of three, which matters on a small machine. On few cores the three
    would wait for each other anyway.
    """

    def __init__(self, cost_model: CostModel, explorer: Explorer, sampler: Sampler) -> None:
        self.cost_model, self.explorer, self.sampler = cost_model, explorer, sampler

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Any:
        """Fits the cost model; see ``CostModel``."""
        return self.cost_model.fit(space, known, rng)

    def explore(
        self,
        space: DesignSpace,
        score: Any,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores for one plan; see ``Explorer``."""
        return self.explorer.explore(space, score, seen, agent, rng)

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> Selection:
        """Chooses one plan's batch; see ``Sampler``."""
        return self.sampler.select(space, trail, seen, count, rng)
