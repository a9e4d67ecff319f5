"""The cost model protocol, and the records that a cost model learns from."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chameleon_ray.search.explorer import Score
from chameleon_ray.space import DesignSpace


@dataclass(frozen=True, eq=False)
class Lessons:
    """Records of other tasks, in the terms of this task's space.

    Attributes:
        features: ``(n, features)`` float32; NaN for knobs that the other task does not have.
        fitness: ``(n,)`` throughput over the other task's best; 0 for a failure.
    """

    features: np.ndarray
    fitness: np.ndarray


@dataclass(frozen=True, eq=False)
class Experience:
    """All configurations tried for one task, in order.

    Attributes:
        configs: ``(n, knobs)`` tried configurations, failed ones included.
        fitness: ``(n,)`` throughput over the task's best, in [0, 1]; 0 for a failure.
        plans: ``(n,)`` number of the plan that proposed each configuration, ascending.
        lessons: Records of other tasks; None where there are none, or they are not wanted.
    """

    configs: np.ndarray
    fitness: np.ndarray
    plans: np.ndarray
    lessons: Lessons | None = None


class CostModel(Protocol):
    """Learns a task's fitness from its records; keeps nothing between calls."""

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> Score:
        """Learns from all of a task's records, from scratch.

        Args:
            space: The task's design space.
            known: The task's records: at least one, or none where there are lessons.
            rng: The only source of randomness.

        Returns:
            A picklable score.
        """
        ...


def informative(fitness: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Chooses ``count`` records to learn from: half the best ones, half drawn from the rest.

    A model that cannot take all records is fast with a few, and learns most from the best.

    Returns:
        Row numbers, ascending.
    """
    order = np.argsort(-fitness, kind="stable")
    if len(order) <= count:
        return np.sort(order)
    best, rest = order[: count // 2], order[count // 2 :]
    return np.sort(np.append(best, rng.choice(rest, count - len(best), replace=False)))
