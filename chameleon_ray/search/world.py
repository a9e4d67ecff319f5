"""The walkers' world: a Gymnasium environment in which moves change a configuration's knobs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from chameleon_ray.search.explorer import Score
from chameleon_ray.space import DesignSpace

WORST = -9.0
"""Reward of a failure before scaling, as if it took ten times as long as the best configuration."""


def penalty9(fitness: np.ndarray) -> np.ndarray:
    """Computes a reward from the time saved over the best: 1 - 1 / fitness, -9 at the least.

    After NeuroVectorizer (Haj-Ali et al., CGO 2020), where a failure costs -9. Here a fitness of 0
    or less is a failure; what works is never worse than that.

    The result is divided by 10, so that rewards span 1 like those by fitness. Advantages are
    standardised, but errors of the value function are squared as they are. Undivided, they would
    outweigh the policy's share of the loss a hundredfold.
    """
    return (1 - 1 / np.maximum(fitness, 1 / (1 - WORST))) / (1 - WORST)


REWARDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "fitness": lambda fitness: fitness,
    "penalty9": penalty9,
}

Act = Callable[[np.ndarray], np.ndarray]
"""Maps ``(walkers, axes)`` observations to ``(walkers, axes)`` actions 0, 1, 2."""


@dataclass(frozen=True, eq=False)
class Walk:
    """Some consecutive moves of all walkers.

    Attributes:
        observations: ``(moves + 1, walkers, axes)`` float32, from before the first move to after
            the last.
        actions: ``(moves, walkers, axes)`` of 0 (decrement), 1 (stay), 2 (increment).
        rewards: ``(moves, walkers)`` float32.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


class KnobWorld(VectorEnv):
    """Many configurations of one space, walked at once (Chameleon section 4.1).

    A walker observes its configuration's coordinates and moves along every axis at once. Its reward
    depends on the score of where it arrives, as ``REWARDS`` says. A score that is not finite counts
    as 0, the fitness of a failure. An episode ends after ``horizon`` moves; the next call starts a
    new one.

    Attributes:
        clock: Number of moves made in this episode.
        places: ``(walkers, knobs)`` positions of the walkers; their configurations once canonical.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012, gymnasium's contract

    def __init__(
        self,
        space: DesignSpace,
        score: Score,
        walkers: int,
        horizon: int,
        rng: np.random.Generator,
        reward: str = "fitness",
    ) -> None:
        self.reward = REWARDS[reward]
        self.space, self.score, self.horizon, self.rng = space, score, horizon, rng
        # A knob that does not count in one sketch is kept until the walker is back in another.
        self.walked = DesignSpace(space.knobs) if space.whole else space
        self.num_envs, self.clock = walkers, 0
        self.single_observation_space = gymnasium.spaces.Box(0.0, 1.0, (space.axes,), np.float32)
        self.single_action_space = gymnasium.spaces.MultiDiscrete([3] * space.axes)
        self.observation_space = batch_space(self.single_observation_space, walkers)
        self.action_space = batch_space(self.single_action_space, walkers)
        self.places = np.empty((0, len(space.knobs)), dtype=np.int64)
        self.visits: list[tuple[np.ndarray, np.ndarray]] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Puts every walker at a new uniform configuration; ``seed`` is not used."""
        self.places = self.walked.random(self.rng, self.num_envs)
        self.clock = 0
        return self.observe(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Moves every walker once; after the horizon it resets instead, without reward."""
        no = np.zeros(self.num_envs, dtype=bool)
        if self.over:
            return self.reset()[0], np.zeros(self.num_envs), no, no, {}
        self.places = self.walked.move(self.places, actions)
        self.clock += 1
        return self.observe(), self.reward(self.rate(self.places)), no, no | self.over, {}

    def walk(self, act: Act, moves: int) -> Walk:
        """Makes ``moves`` steps, scored in one call at the end: rewards do not steer the walk."""
        shape = (moves, self.num_envs)
        observations = np.empty((moves + 1, self.num_envs, self.space.axes), dtype=np.float32)
        actions = np.empty((*shape, self.space.axes), dtype=np.int64)
        path = np.empty((*shape, len(self.space.knobs)), dtype=np.int64)
        observations[0] = self.observe()
        for t in range(moves):
            actions[t] = act(observations[t])
            path[t] = self.places = self.walked.move(self.places, actions[t])
            observations[t + 1] = self.observe()
        self.clock += moves
        rewards = self.reward(self.rate(path.reshape(-1, path.shape[-1]))).reshape(shape)
        return Walk(observations, actions, rewards.astype(np.float32))

    @property
    def over(self) -> bool:
        """Whether the episode has reached its horizon."""
        return self.clock >= self.horizon

    @property
    def visited(self) -> tuple[np.ndarray, np.ndarray]:
        """All ``(n, knobs)`` configurations arrived at, in order, and their ``(n,)`` scores."""
        if not self.visits:
            return np.empty((0, len(self.space.knobs)), dtype=np.int64), np.empty(0)
        configs, scores = zip(*self.visits, strict=True)
        return np.concatenate(configs), np.concatenate(scores)

    def observe(self) -> np.ndarray:
        """Returns the ``(walkers, axes)`` float32 coordinates of the walkers."""
        return self.space.coordinates(self.places).astype(np.float32)

    def rate(self, places: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` finite scores of ``(n, knobs)`` places and notes the visit."""
        configs = self.space.canonical(places)
        scores = np.nan_to_num(np.asarray(self.score(configs), dtype=float), posinf=0, neginf=0)
        self.visits.append((configs, scores))
        return scores
