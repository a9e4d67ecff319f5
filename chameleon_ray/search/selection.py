"""A sampler's selection: one plan's batch, and how each of its configurations came into it."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from chameleon_ray.search.random_walk import fill
from chameleon_ray.space import DesignSpace


class Way(StrEnum):
    """How a configuration came into a plan."""

    PICKED = "picked"
    """It is on the explorer's trail, or stands for a cluster of it."""
    SYNTHESISED = "synthesised"
    """It was made of what candidates of the trail have in common."""
    RANDOM = "random"


@dataclass(frozen=True, eq=False)
class Selection:
    """One plan's batch.

    Attributes:
        configs: ``(n, knobs)`` distinct configurations.
        ways: How each came into the plan.
    """

    configs: np.ndarray
    ways: tuple[Way, ...]

    def __len__(self) -> int:
        return len(self.configs)


def completed(
    space: DesignSpace,
    picked: np.ndarray,
    seen: np.ndarray,
    count: int,
    rng: np.random.Generator,
    synthesised: np.ndarray | None = None,
) -> Selection:
    """Completes a batch with random unseen configurations, while there are any.

    Args:
        space: The task's design space.
        picked: ``(n, knobs)`` configurations of the trail.
        seen: ``(m, knobs)`` configurations that must not be in the batch.
        count: Size of the batch.
        rng: Draws what is lacking.
        synthesised: ``(s, knobs)`` configurations that follow those picked; none where None.
    """
    made = picked[:0] if synthesised is None else synthesised
    configs = fill(space, np.concatenate([picked, made]), seen, count, rng)
    ways = [Way.PICKED] * len(picked) + [Way.SYNTHESISED] * len(made)
    return Selection(configs, (*ways, *[Way.RANDOM] * (len(configs) - len(ways))))
