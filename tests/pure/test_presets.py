"""Presets: whole systems made by their names, as a run makes them, on a landscape with failures."""

from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.api.algorithms import (
    COST_MODELS,
    EXPLORERS,
    SAMPLERS,
    cost_model_factory,
    explorer_factory,
    sampler_factory,
)
from chameleon_ray.options import Search
from chameleon_ray.presets import PRESETS
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.search.explorer import Agent
from tests.pure.landscape import convolution


def searched(search: Search, plans: int) -> list[np.ndarray]:
    """The fitness of what each plan measures; every fifth configuration or so fails."""
    land, rng = convolution(), np.random.default_rng(0)
    model, explorer, sampler = (
        made(search)() for made in (cost_model_factory, explorer_factory, sampler_factory)
    )
    seen, agent = land.space.random(rng, search.first_plan), Agent()
    numbers, found = np.zeros(len(seen), dtype=np.int64), []
    for plan in range(1, plans + 1):
        fitness = np.where(seen[:, 6] == 0, 0.0, land(seen))
        score = model.fit(land.space, Experience(seen, fitness / fitness.max(), numbers), rng)
        trail = explorer.explore(land.space, score, seen, agent, rng)
        agent = trail.agent
        batch = sampler.select(land.space, trail, seen, search.plan, rng).configs
        assert 0 < len(batch) <= search.plan
        seen = np.concatenate([seen, batch])
        numbers = np.append(numbers, np.full(len(batch), plan))
        found.append(np.where(batch[:, 6] == 0, 0.0, land(batch)))
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_parts_exist(name: str) -> None:
    search = PRESETS[name]
    assert search.explorer in EXPLORERS
    assert search.sampler in SAMPLERS
    assert search.cost_model in COST_MODELS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_finds_better_than_random(name: str) -> None:
    # PPO needs Ray; annealing walks in its place.
    search = replace(PRESETS[name], explorer="annealing")
    search = replace(search, annealing=replace(search.annealing, chains=64, steps=60))
    found = searched(search, 3)
    uniform = convolution()(convolution().space.random(np.random.default_rng(1), 1000))
    assert found[-1].max() > np.quantile(uniform, 0.99)
    np.testing.assert_array_equal(found[-1], searched(search, 3)[-1])
