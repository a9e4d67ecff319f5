"""The PPO explorer on landscapes whose summit is known, and its runner against RLlib's own."""

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from chameleon_ray.cluster.ppo import PPOExplorer, configured, isolated
from chameleon_ray.cluster.rollout import Moves, WalkRunner
from chameleon_ray.knob import Knob
from chameleon_ray.options import PPO
from chameleon_ray.search.explorer import Agent, Trail
from chameleon_ray.search.world import KnobWorld
from chameleon_ray.space import DesignSpace
from tests.pure.conformance import EXPLORER_CHECKS, nothing
from tests.pure.landscape import Landscape, convolution, sketched, tiny

pytestmark = pytest.mark.usefixtures("local_ray")
COUNT = 32
SHORT = PPO(walkers=64, steps=40, updates=4, minibatch=400)
EXPLORER = PPOExplorer(SHORT, COUNT)


@pytest.mark.parametrize("check", EXPLORER_CHECKS)
@pytest.mark.parametrize("landscape", [convolution, sketched, tiny])
def test_conformance(
    landscape: Callable[[], Landscape],
    check: Callable[[PPOExplorer, Landscape, int], None],
) -> None:
    check(EXPLORER, landscape(), COUNT)


def plans(land: Landscape, agent: Agent, seeds: list[int]) -> list[Trail]:
    trails = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        trails.append(EXPLORER.explore(land.space, land, nothing(land), agent, rng))
        agent = trails[-1].agent
    return trails


def test_learns_and_keeps_what_it_learnt() -> None:
    land = convolution()
    trails = plans(land, {}, [0, 1, 2, 3])
    fresh = plans(land, {}, [3])[0]
    uniform = land(land.space.random(np.random.default_rng(0), fresh.queries))
    assert fresh.queries == SHORT.walkers * SHORT.steps
    assert trails[-1].scores.mean() > np.sort(uniform)[-COUNT:].mean()
    assert trails[-1].scores.mean() > fresh.scores.mean()


def test_penalty9_changes_what_is_learnt_and_not_how_candidates_are_ranked() -> None:
    land, options = convolution(), replace(SHORT, reward="penalty9")
    trails = [
        PPOExplorer(one, COUNT).explore(
            land.space, land, nothing(land), {}, np.random.default_rng(0)
        )
        for one in (SHORT, options)
    ]
    for trail in trails:
        np.testing.assert_allclose(trail.scores, land(trail.configs))
    weights = [np.concatenate([w.ravel() for w in trail.agent.values()]) for trail in trails]
    assert (weights[0] != weights[1]).any()


def test_tasks_share_a_process_without_sharing_anything_else() -> None:
    one, other = convolution(), Landscape(convolution().space, (3, 5, 7, 1, 0, 1, 0, 0))
    apart = plans(one, {}, [1, 2]), plans(other, {}, [1, 2])
    agents: list[Agent] = [{}, {}]
    for plan, seed in enumerate([1, 2]):
        for which, land in enumerate([one, other]):
            carried = pickle.loads(pickle.dumps(agents[which]))
            rng = np.random.default_rng(seed)
            trail = PPOExplorer(SHORT, COUNT).explore(land.space, land, nothing(land), carried, rng)
            np.testing.assert_array_equal(trail.configs, apart[which][plan].configs)
            agents[which] = trail.agent


def test_agent_is_plain_and_an_explorer_leaves_no_trace() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    numbers = np.random.get_state(legacy=False)["state"]["key"].copy()
    agent = plans(convolution(), {}, [0])[0].agent
    assert all(type(value) is np.ndarray for value in agent.values())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    after = np.random.get_state(legacy=False)["state"]["key"]
    np.testing.assert_array_equal(after, numbers)


@pytest.mark.parametrize("value", [0.0, 0.7, np.nan, -np.inf, 1e6])
def test_scores_without_a_slope_break_nothing(value: float) -> None:
    land = convolution()
    agent: Agent = {}
    for seed in range(2):
        rng = np.random.default_rng(seed)
        trail = EXPLORER.explore(
            land.space, lambda c: np.full(len(c), value), nothing(land), agent, rng
        )
        agent = trail.agent
        assert len(trail.configs) == COUNT
        assert np.isfinite(trail.scores).all()
    assert all(np.isfinite(array).all() for array in agent.values())


def test_nothing_to_choose_from_needs_no_agent() -> None:
    for knobs in ((), (Knob.listed("only", (1,)),)):
        space, rng = DesignSpace(knobs), np.random.default_rng(0)
        none = np.empty((0, len(knobs)), dtype=np.int64)
        trail = EXPLORER.explore(space, lambda c: np.ones(len(c)), none, {}, rng)
        assert trail.configs.shape == (0, len(knobs))


def test_steps_that_updates_do_not_divide() -> None:
    land = convolution()
    explorer = PPOExplorer(PPO(walkers=16, steps=10, updates=3, minibatch=4000), COUNT)
    trail = explorer.explore(land.space, land, nothing(land), {}, np.random.default_rng(0))
    assert trail.queries == 160


def runner(
    config: PPOConfig, kind: type[SingleAgentEnvRunner], land: Landscape
) -> SingleAgentEnvRunner:
    """A runner of either kind with the same weights, about to walk the same world."""
    with isolated(1):
        built = kind(config=config.copy(copy_frozen=False))
    if isinstance(built, WalkRunner):
        rng = np.random.default_rng(5)
        built.enter(KnobWorld(land.space, land, SHORT.walkers, SHORT.steps, rng))
    return built


def test_runner_gives_the_episodes_of_rllibs_own() -> None:
    land = convolution()
    bulk = configured(land.space.axes, SHORT)
    stock = bulk.copy(copy_frozen=False).env_runners(
        env_runner_cls=SingleAgentEnvRunner, gym_env_vectorize_mode="vector_entry_point"
    )
    stock.environment(
        lambda config: KnobWorld(
            land.space, land, config["num_envs"], SHORT.steps, np.random.default_rng(5)
        )
    )
    walks: list[list[list[SingleAgentEpisode]]] = []
    for config, kind in ((bulk, WalkRunner), (stock, SingleAgentEnvRunner)):
        made = runner(config, kind, land)
        with isolated(2):
            walks.append([made.sample() for _ in range(SHORT.updates)])
    for ours, theirs in zip(*walks, strict=True):
        for mine, its in zip(ours, theirs, strict=True):
            assert_same_episode(mine, its)


def assert_same_episode(mine: SingleAgentEpisode, its: SingleAgentEpisode) -> None:
    assert len(mine) == len(its) == SHORT.steps // SHORT.updates
    assert (mine.t_started, mine.is_truncated) == (its.t_started, its.is_truncated)
    assert mine.is_terminated == its.is_terminated
    np.testing.assert_array_equal(mine.get_actions(), np.array(its.get_actions()))
    np.testing.assert_array_equal(mine.get_observations(), np.array(its.get_observations()))
    np.testing.assert_allclose(mine.get_rewards(), np.array(its.get_rewards()), rtol=1e-5)
    for name in ("action_logp", "action_dist_inputs"):
        mine_out = mine.get_extra_model_outputs(name)
        np.testing.assert_allclose(
            mine_out, np.array(its.get_extra_model_outputs(name)), rtol=1e-4, atol=1e-5
        )


def test_moves_are_rllibs_multi_categorical() -> None:
    torch.manual_seed(0)
    logits, other = torch.randn(5, 12), torch.randn(5, 12)

    def interleaved(blocks: torch.Tensor) -> torch.Tensor:
        return blocks.unflatten(-1, (3, 4)).transpose(-1, -2).flatten(-2)

    ours = [Moves.from_logits(each) for each in (logits, other)]
    theirs = [
        TorchMultiCategorical.from_logits(interleaved(each), [3] * 4) for each in (logits, other)
    ]
    moves = ours[0].sample()
    assert moves.shape == (5, 4)
    torch.testing.assert_close(ours[0].logp(moves), theirs[0].logp(moves))
    torch.testing.assert_close(ours[0].entropy(), theirs[0].entropy())
    torch.testing.assert_close(ours[0].kl(ours[1]), theirs[0].kl(theirs[1]))
    drawn = Moves.from_logits(logits[:1].expand(40_000, 12)).sample()
    shares = torch.stack([(drawn == move).float().mean(dim=0) for move in range(3)])
    torch.testing.assert_close(shares, ours[0].shares[0].exp(), atol=0.02, rtol=0)
