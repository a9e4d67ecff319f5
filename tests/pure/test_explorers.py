"""Explorers on landscapes whose summit is known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.knob import Knob
from chameleon_ray.options import Annealing, RandomWalk
from chameleon_ray.search.annealing import AnnealingExplorer, Shortlist
from chameleon_ray.search.exhaustive import ExhaustiveExplorer
from chameleon_ray.search.explorer import Agent, Explorer
from chameleon_ray.search.random_walk import RandomExplorer, random_unseen
from chameleon_ray.space import DesignSpace, as_configs, distinct
from tests.pure.conformance import EXPLORER_CHECKS, nothing
from tests.pure.landscape import ANY, Landscape, convolution, sketched, tiny

COUNT = 32
SHORT = Annealing(chains=64, steps=60)
EXPLORERS: dict[str, Explorer] = {
    "random": RandomExplorer(RandomWalk(candidates=1500), COUNT),
    "annealing": AnnealingExplorer(SHORT, COUNT),
    "exhaustive": ExhaustiveExplorer(20_000, COUNT, lambda: AnnealingExplorer(SHORT, COUNT)),
}


@pytest.mark.parametrize("check", EXPLORER_CHECKS)
@pytest.mark.parametrize("landscape", [convolution, sketched, tiny])
@pytest.mark.parametrize("explorer", EXPLORERS)
def test_conformance(
    explorer: str,
    landscape: Callable[[], Landscape],
    check: Callable[[Explorer, Landscape, int], None],
) -> None:
    check(EXPLORERS[explorer], landscape(), COUNT)


def test_random_ranks_exactly_the_candidates_asked_for() -> None:
    land = convolution()
    trail = RandomExplorer(RandomWalk(candidates=500), 500).explore(
        land.space, land, nothing(land), {}, np.random.default_rng(0)
    )
    assert len(trail.configs) == trail.queries == 500


def test_random_finds_the_optimum_of_a_space_it_can_enumerate() -> None:
    land = sketched()
    explorer = RandomExplorer(RandomWalk(candidates=land.space.size), 1)
    trail = explorer.explore(land.space, land, nothing(land), {}, np.random.default_rng(0))
    assert as_configs(trail.configs) == [land.optimum]


@pytest.mark.parametrize("landscape", [convolution, sketched])
def test_annealing_climbs_higher_than_as_many_uniform_draws(
    landscape: Callable[[], Landscape],
) -> None:
    land = landscape()
    rng = np.random.default_rng(0)
    options = Annealing(steps=300)
    trail = AnnealingExplorer(options, COUNT).explore(land.space, land, nothing(land), {}, rng)
    uniform = land(land.space.random(rng, trail.queries))
    assert trail.scores[0] >= uniform.max()
    assert trail.scores.mean() > np.sort(uniform)[-COUNT:].mean()


def test_cold_annealing_finds_the_summit_over_plans() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    agent: Agent = {}
    explorer = AnnealingExplorer(Annealing(chains=32, temperature=(1e-2, 0.0), patience=500), 1)
    for _ in range(3):
        trail = explorer.explore(land.space, land, nothing(land), agent, rng)
        agent = trail.agent
    assert as_configs(trail.configs) == [land.optimum]


def test_annealing_chains_go_on_where_they_were() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    cold = AnnealingExplorer(Annealing(chains=16, steps=100, temperature=(0.0, 0.0)), COUNT)
    first = cold.explore(land.space, land, nothing(land), {}, rng)
    assert first.agent["places"].shape == (16, land.space.axes)
    second = cold.explore(land.space, land, nothing(land), first.agent, rng)
    before, after = (land(land.space.nearest(t.agent["places"])) for t in (first, second))
    assert (after >= before).all()
    assert (after > before).any()


def test_annealing_stops_when_it_finds_nothing_new() -> None:
    land = tiny()
    explorer = AnnealingExplorer(replace(SHORT, chains=8, steps=500, patience=5), COUNT)
    trail = explorer.explore(land.space, land, nothing(land), {}, np.random.default_rng(0))
    assert len(trail.configs) == 3
    assert 6 * 8 <= trail.queries <= 12 * 8


def test_shortlist_keeps_the_best_distinct_unseen() -> None:
    shortlist = Shortlist(2, seen=np.array([[9, 9]]))
    assert shortlist.offer(np.array([[1, 1], [2, 2], [9, 9]]), np.array([0.1, 0.2, 1.0]))
    assert not shortlist.offer(np.array([[2, 2], [3, 3]]), np.array([0.2, 0.1]))
    assert shortlist.offer(np.array([[4, 4], [4, 4]]), np.array([0.5, 0.5]))
    configs, scores = shortlist.ranked(2)
    assert configs.tolist() == [[4, 4], [2, 2]]
    assert scores.tolist() == [0.5, 0.2]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99, 1.0])
def test_random_unseen_gives_all_that_is_left(share: float) -> None:
    space, rng = sketched().space, np.random.default_rng(0)
    everything = rng.permutation(space.enumerate())
    seen, left = np.split(everything, [int(share * len(everything))])
    found = random_unseen(space, seen, space.size, rng)
    assert sorted(as_configs(found)) == sorted(as_configs(left))


def test_random_unseen_ends_where_most_sketches_are_exhausted() -> None:
    space = sketched().space
    everything = space.enumerate()
    seen = everything[everything[:, 0] != 1]
    found = random_unseen(space, seen, 50, np.random.default_rng(0))
    assert len(distinct(found)) == 50
    assert (found[:, 0] == 1).all()


def test_a_small_space_is_scored_whole_and_nobody_walks() -> None:
    def nobody() -> Explorer:
        raise AssertionError("a walker was made")

    land = sketched()
    explorer = ExhaustiveExplorer(land.space.size, COUNT, nobody)
    trail = explorer.explore(land.space, land, nothing(land), {}, np.random.default_rng(0))
    everything = np.sort(land(land.space.enumerate()))[::-1]
    np.testing.assert_allclose(trail.scores, everything[:COUNT])
    assert trail.queries == land.space.size
    large = convolution()
    with pytest.raises(AssertionError, match="walker"):
        explorer.explore(large.space, large, nothing(large), {}, np.random.default_rng(0))


def test_annealing_goes_on_with_the_agent_of_a_task_of_other_extents() -> None:
    def of(extent: int) -> DesignSpace:
        return DesignSpace((Knob.tiling("tile", extent, 3, ANY), Knob.listed("unroll", (0, 16))))

    explorer, rng = AnnealingExplorer(SHORT, COUNT), np.random.default_rng(0)
    none = np.empty((0, 2), dtype=np.int64)
    zero = lambda configs: np.zeros(len(configs))  # noqa: E731
    agent = explorer.explore(of(256), zero, none, {}, rng).agent
    trail = explorer.explore(of(28), zero, none, agent, rng)
    assert (trail.configs < of(28).dims).all()
