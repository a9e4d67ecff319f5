"""The explorer protocol, and the trail of promising configurations that an exploration gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from chameleon_ray.space import DesignSpace, pack

Score = Callable[[np.ndarray], np.ndarray]
"""Predicts the ``(n,)`` fitness of ``(n, knobs)`` configurations; higher is better."""

Agent = dict[str, np.ndarray]
"""An explorer's state, handed back to it at the task's next plan; empty at the first plan."""


@dataclass(frozen=True, eq=False)
class Trail:
    """The result of one exploration.

    Attributes:
        configs: ``(n, knobs)`` distinct configurations not seen before, best first.
        scores: ``(n,)`` their predicted fitness, descending.
        agent: The explorer's state after it.
        queries: Number of configurations scored on the way, repeated ones included.
    """

    configs: np.ndarray
    scores: np.ndarray
    agent: Agent = field(default_factory=dict)
    queries: int = 0


class Explorer(Protocol):
    """Searches a space for configurations of high predicted fitness."""

    def explore(
        self,
        space: DesignSpace,
        score: Score,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores a space for one plan.

        Args:
            space: The space to search.
            score: The cost model.
            seen: ``(m, knobs)`` configurations that must not be on the trail.
            agent: The state that the task's previous trail gave back, or ``{}``.
            rng: The only source of randomness: the same one gives the same trail.

        Returns:
            A trail of at most ``Sampling.candidates`` configurations; fewer, or none, where the
            space has no more to give.
        """
        ...


def best(configs: np.ndarray, scores: np.ndarray, seen: np.ndarray, count: int) -> np.ndarray:
    """Returns row numbers of the ``count`` best distinct unseen configurations, best first."""
    keys = pack(configs)
    _, first = np.unique(keys, return_index=True)
    if len(seen):
        first = first[~np.isin(keys[first], pack(seen))]
    order = np.argsort(-scores[first], kind="stable")
    return first[order[:count]]
