"""Starts the pools of the search: cost models, explorers and samplers."""

from collections.abc import Callable
from functools import partial

from chameleon_ray.api.algorithms import (
    Factory,
    cost_model_factory,
    explorer_factory,
    sampler_factory,
    searcher_factory,
)
from chameleon_ray.api.workers import searcher
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.options import Search
from chameleon_ray.pool import Pool
from chameleon_ray.search.system import SearchSystem

CORES_PER_EXPLORER = 4
"""Number of search cores that one explorer keeps busy; most of them build what it proposes."""


def searching(
    search: Search,
    cores: int,
    start_pool: Callable[..., Pool],
    freezer: Freezer | None = None,
) -> SearchSystem:
    """Starts the pools; with few cores, the workers of one pool do everything.

    Args:
        search: Search system.
        cores: Number of search cores.
        start_pool: Starts a pool, given its name and the factory of its workers.
        freezer: Freezer that the workers join, if any.
    """

    def made(factory: Factory) -> Factory:
        return partial(searcher, freezer, factory) if freezer is not None else factory

    if cores <= CORES_PER_EXPLORER:
        pool = start_pool("searcher", made(searcher_factory(search)))
        return SearchSystem(pool, pool, pool)
    return SearchSystem(
        cost_model=start_pool("cost model", made(cost_model_factory(search))),
        explorers=start_pool("explorer", made(explorer_factory(search))),
        sampler=start_pool("sampler", made(sampler_factory(search))),
    )
