"""A search system: cost model, explorer and sampler behind awaitable calls to three pools."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon_ray.pool import Pool
from chameleon_ray.search.cost_model import CostModel, Experience
from chameleon_ray.search.explorer import Agent, Explorer, Trail
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.search.selection import Selection
from chameleon_ray.space import DesignSpace


@dataclass(frozen=True)
class SearchSystem:
    """The three calls of a tuner: fit, explore and select. It passes the score on unread.

    Attributes:
        cost_model: Workers with the method of ``CostModel``.
        explorers: Workers with the method of ``Explorer``; any of them can serve any task.
        sampler: Workers with the method of ``Sampler``.
    """

    cost_model: Pool
    explorers: Pool
    sampler: Pool

    async def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Any:
        return await self.cost_model.call(CostModel.fit, space, known, rng)

    async def explore(
        self,
        space: DesignSpace,
        score: Any,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        return await self.explorers.call(Explorer.explore, space, score, seen, agent, rng)

    async def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> Selection:
        return await self.sampler.call(Sampler.select, space, trail, seen, count, rng)

    def pools(self) -> tuple[Pool, ...]:
        """Returns each pool once: one pool may serve several parts."""
        return tuple(dict.fromkeys((self.cost_model, self.explorers, self.sampler)))
