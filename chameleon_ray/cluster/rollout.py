"""RLlib's env runner for knob worlds: moves all walkers at once, and records their episodes."""

from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import torch
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer as Buffer

from chameleon_ray.knob import Knob
from chameleon_ray.search.world import KnobWorld, Walk
from chameleon_ray.space import DesignSpace


class Moves(Distribution):
    """Independent -1/0/+1 moves along every axis, in one tensor operation.

    RLlib's own multi-categorical distribution takes the axes one by one in Python, at every step
    and in every gradient.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    @cached_property
    def shares(self) -> torch.Tensor:
        """``(..., 3, axes)`` log-probability of each move."""
        return torch.log_softmax(self.logits.unflatten(-1, (3, -1)), dim=-2)

    @classmethod
    def from_logits(cls, logits: torch.Tensor, **ignored: Any) -> "Moves":
        """Takes ``(..., 3 * axes)`` logits: all decrements, all stays, all increments."""
        return cls(logits)

    @staticmethod
    def required_input_dim(space: gymnasium.spaces.MultiDiscrete, **ignored: Any) -> int:
        """Returns the number of logits: three per axis."""
        return int(space.nvec.sum())

    def sample(self, **ignored: Any) -> torch.Tensor:
        """Draws ``(..., axes)`` moves 0, 1, 2: the largest of the logits plus Gumbel noise."""
        noise = torch.empty_like(self.shares).exponential_().log()
        return torch.argmax(self.shares - noise, dim=-2)

    def rsample(self, **ignored: Any) -> torch.Tensor:
        """Raises ``NotImplementedError``, as moves are discrete."""
        raise NotImplementedError("moves are discrete")

    def logp(self, value: torch.Tensor, **ignored: Any) -> torch.Tensor:
        """Returns the ``(...)`` log-probability of ``(..., axes)`` moves taken together."""
        return self.shares.gather(-2, value.unsqueeze(-2)).squeeze(-2).sum(dim=-1)

    def entropy(self, **ignored: Any) -> torch.Tensor:
        """Returns the ``(...)`` entropy, summed over the axes."""
        return -(self.shares.exp() * self.shares).sum(dim=(-2, -1))

    def kl(self, other: "Moves", **ignored: Any) -> torch.Tensor:
        """Returns the ``(...)`` divergence from ``other``, summed over the axes."""
        return (self.shares.exp() * (self.shares - other.shares)).sum(dim=(-2, -1))

    def to_deterministic(self) -> TorchDeterministic:
        """Returns the distribution of the likeliest move along every axis."""
        return TorchDeterministic(loc=self.shares.argmax(dim=-2))


class MoveCatalog(PPOCatalog):
    """RLlib's PPO networks with ``Moves`` as their action distribution."""

    def get_action_dist_cls(self, framework: str) -> type[Moves]:
        """Returns the distribution that the policy's logits stand for."""
        return Moves


def blank(axes: int, walkers: int) -> KnobWorld:
    """Makes a world of two choices per axis and no reward, with which a runner is built."""
    knobs = tuple(Knob.listed(str(axis), (0, 1)) for axis in range(axes))
    nothing = np.random.default_rng(0)
    return KnobWorld(
        DesignSpace(knobs), lambda configs: np.zeros(len(configs)), walkers, 1, nothing
    )


class WalkRunner(SingleAgentEnvRunner):
    """Moves all walkers in bulk where the stock runner handles them one by one in Python.

    The world is entered once per plan. Each ``sample`` walks an equal share of its horizon, and
    the episodes go on where the previous ones were cut.
    """

    def make_env(self) -> None:
        """Makes a stand-in of the right shape, so that policy and connectors can be built."""
        self.num_envs = self.config.num_envs_per_env_runner
        self.env = blank(self.config.env_config["axes"], self.num_envs)

    def enter(self, world: KnobWorld) -> None:
        """Puts the walkers at the start configurations of ``world``."""
        self.env = world
        world.reset()

    def _sample(self, *, explore: bool, **ignored: Any) -> list[SingleAgentEpisode]:
        fragment, started = self.config.get_rollout_fragment_length(), self.env.clock
        left = self.env.horizon - started
        moves = left if left < 2 * fragment else fragment
        logits: list[torch.Tensor] = []

        def act(observations: np.ndarray) -> np.ndarray:
            out = self.module.forward_exploration({Columns.OBS: torch.from_numpy(observations)})
            logits.append(out[Columns.ACTION_DIST_INPUTS])
            return distribution.from_logits(logits[-1]).sample().numpy()

        distribution = self.module.get_exploration_action_dist_cls()
        with torch.no_grad():
            walk = self.env.walk(act, moves)
            policy = torch.stack(logits)
            likelihood = distribution.from_logits(policy).logp(torch.from_numpy(walk.actions))
        outputs = {
            Columns.ACTION_DIST_INPUTS: policy.numpy(),
            Columns.ACTION_LOGP: likelihood.numpy(),
        }
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=walk.rewards.size)
        self._increase_sampled_metrics(walk.rewards.size, self.num_envs if self.env.over else 0)
        return [self.episode(walk, outputs, w, started) for w in range(self.num_envs)]

    def episode(
        self, walk: Walk, outputs: dict[str, np.ndarray], walker: int, started: int
    ) -> SingleAgentEpisode:
        """Returns one walker's share of a walk, as RLlib's learner takes it."""
        observation_space = self.env.single_observation_space
        action_space = self.env.single_action_space

        def column(rows: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(rows[:, walker])

        return SingleAgentEpisode(
            id_=f"walker-{walker}",
            observations=Buffer(column(walk.observations), 0, observation_space),
            observation_space=observation_space,
            infos=Buffer([{}] * len(walk.observations), 0),
            actions=Buffer(column(walk.actions), 0, action_space),
            action_space=action_space,
            rewards=Buffer(column(walk.rewards), 0),
            truncated=self.env.over,
            extra_model_outputs={name: Buffer(column(rows), 0) for name, rows in outputs.items()},
            t_started=started,
            len_lookback_buffer=0,
        )
