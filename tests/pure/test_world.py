"""The walkers' world, and its walk in bulk against its walk step by step."""

import numpy as np
import pytest

from chameleon_ray.search.world import KnobWorld, penalty9
from tests.pure.landscape import Landscape, convolution, sketched

WALKERS, HORIZON = 7, 12


def world(land: Landscape, seed: int = 0) -> KnobWorld:
    entered = KnobWorld(land.space, land, WALKERS, HORIZON, np.random.default_rng(seed))
    entered.reset()
    return entered


@pytest.mark.parametrize("land", [convolution(), sketched()])
def test_observes_moves_and_rewards(land: Landscape) -> None:
    here = world(land)
    observations, _ = here.reset()
    before, actions = here.places, np.full((WALKERS, land.space.axes), 2)
    assert observations.dtype == np.float32
    assert here.observation_space.contains(observations)
    assert here.action_space.contains(actions)
    observations, rewards, terminated, truncated, _ = here.step(actions)
    expected = land.space.move(before, actions)
    np.testing.assert_array_equal(here.visited[0], expected)
    np.testing.assert_allclose(observations, land.space.coordinates(here.places), rtol=1e-6)
    np.testing.assert_allclose(rewards, land(expected))
    assert not terminated.any()
    assert not truncated.any()


@pytest.mark.parametrize("land", [convolution(), sketched()])
def test_bulk_walk_is_the_walk_step_by_step(land: Landscape) -> None:
    bulk, single = world(land), world(land)
    choose = np.random.default_rng(1)
    walk = bulk.walk(lambda seen: choose.integers(0, 3, seen.shape), HORIZON)
    np.testing.assert_array_equal(walk.observations[0], single.observe())
    for t, actions in enumerate(walk.actions):
        observations, rewards, _, truncated, _ = single.step(actions)
        np.testing.assert_array_equal(observations, walk.observations[t + 1])
        np.testing.assert_allclose(rewards, walk.rewards[t], rtol=1e-6)
        assert truncated.all() == (t == HORIZON - 1)
    for ours, theirs in zip(bulk.visited, single.visited, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_sketch_passed_through_costs_no_knob_its_place() -> None:
    here = world(sketched())
    here.places[:] = (1, 12, 17, 4, 2)
    axes = here.space.axes
    for move in (2, 0):
        here.step(np.tile(np.where(np.arange(axes) == 0, move, 1), (WALKERS, 1)))
    visited = here.visited[0].reshape(2, WALKERS, -1)
    assert visited[0, 0].tolist() == [2, 0, 0, 0, 2]
    assert visited[1, 0].tolist() == [1, 12, 17, 4, 2]


def test_starts_anew_after_the_horizon() -> None:
    here = world(convolution())
    stay = np.ones((WALKERS, here.space.axes), dtype=np.int64)
    for _ in range(HORIZON):
        truncated = here.step(stay)[3]
    assert truncated.all()
    before = here.places
    _, rewards, _, truncated, _ = here.step(stay)
    assert (here.places != before).any()
    assert not rewards.any()
    assert not truncated.any()
    assert here.clock == 0
    assert len(here.visited[0]) == HORIZON * WALKERS


def test_scores_that_are_not_finite_count_as_failures() -> None:
    land = convolution()
    wild = np.array([np.nan, np.inf, -np.inf, 0.5, 0.25, 1.0, np.nan])
    here = KnobWorld(land.space, lambda _: wild, WALKERS, HORIZON, np.random.default_rng(0))
    here.reset()
    walk = here.walk(np.ones_like, 1)
    assert walk.rewards.tolist() == [[0.0, 0.0, 0.0, 0.5, 0.25, 1.0, 0.0]]


def test_penalty9_is_the_time_saved_and_a_tenth_of_it() -> None:
    # As fast as the best, twice as fast, half as fast, five and ten times slower, slower, failed.
    fitness = np.array([1.0, 2.0, 0.5, 0.2, 0.1, 0.01, 0.0, -0.3])
    expected = np.array([0.0, 0.5, -1.0, -4.0, -9.0, -9.0, -9.0, -9.0]) / 10
    np.testing.assert_allclose(penalty9(fitness), expected)
    assert penalty9(np.array([1e300])) <= 0.1


def test_a_reward_does_not_change_what_is_noted() -> None:
    land = convolution()
    worlds = [
        KnobWorld(land.space, land, WALKERS, HORIZON, np.random.default_rng(0), reward)
        for reward in ("fitness", "penalty9")
    ]
    walks = []
    for here in worlds:
        here.reset()
        choose = np.random.default_rng(1)
        walks.append(here.walk(lambda seen, c=choose: c.integers(0, 3, seen.shape), HORIZON))
    np.testing.assert_array_equal(worlds[0].visited[1], worlds[1].visited[1])
    np.testing.assert_allclose(walks[1].rewards, penalty9(walks[0].rewards), rtol=1e-5, atol=1e-6)
    worlds[1].reset()
    _, rewards, *_ = worlds[1].step(np.ones((WALKERS, land.space.axes), dtype=np.int64))
    np.testing.assert_allclose(rewards, penalty9(land(worlds[1].places)))


def test_same_seed_same_starts() -> None:
    land = convolution()
    np.testing.assert_array_equal(world(land, 3).places, world(land, 3).places)
    assert (world(land, 3).places != world(land, 4).places).any()
