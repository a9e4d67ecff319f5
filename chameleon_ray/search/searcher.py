"""One worker that does all three parts of the search, where there are few cores for them."""

from typing import Any

import numpy as np

from chameleon_ray.search.cost_model import CostModel, Experience
from chameleon_ray.search.explorer import Agent, Explorer, Trail
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.space import DesignSpace


class Searcher:
    """A cost model, an explorer and a sampler in one: one start instead of three, which is what
    a small machine notices, and on few cores they would wait for each other all the same."""

    def __init__(self, cost_model: CostModel, explorer: Explorer, sampler: Sampler) -> None:
        self.cost_model, self.explorer, self.sampler = cost_model, explorer, sampler

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Any:
        """See ``CostModel``."""
        return self.cost_model.fit(space, known, rng)

    def explore(
        self,
        space: DesignSpace,
        score: Any,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """See ``Explorer``."""
        return self.explorer.explore(space, score, seen, agent, rng)

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """See ``Sampler``."""
        return self.sampler.select(space, trail, seen, count, rng)
