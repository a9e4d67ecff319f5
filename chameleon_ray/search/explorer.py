"""The explorer protocol: a design space and a score in, a trail of promising configurations out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from chameleon_ray.space import DesignSpace, pack

Score = Callable[[np.ndarray], np.ndarray]
"""``(n, knobs)`` configurations -> ``(n,)`` predicted fitness, higher is better."""

Agent = dict[str, np.ndarray]
"""What an explorer wants back at the task's next plan; empty at the first. Plain arrays."""


@dataclass(frozen=True, eq=False)
class Trail:
    """Where an exploration has been.

    Attributes:
        configs: ``(n, knobs)`` distinct configurations not seen before, best first.
        scores: ``(n,)`` their predicted fitness, descending.
        agent: The explorer's state after it.
        queries: Configurations scored on the way, repeated ones included.
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
        """One plan's exploration.

        Args:
            space: Where to search.
            score: The cost model.
            seen: ``(m, knobs)`` configurations that must not be on the trail.
            agent: What the task's previous trail gave back, or ``{}``.
            rng: The only source of randomness: the same one gives the same trail.

        Returns:
            At most ``Sampling.candidates`` configurations; fewer, or none, where the space has
            no more to give.
        """
        ...


def best(configs: np.ndarray, scores: np.ndarray, seen: np.ndarray, count: int) -> np.ndarray:
    """Row numbers of the ``count`` best distinct unseen configurations, best first."""
    keys = pack(configs)
    _, first = np.unique(keys, return_index=True)
    if len(seen):
        first = first[~np.isin(keys[first], pack(seen))]
    order = np.argsort(-scores[first], kind="stable")
    return first[order[:count]]
