"""The sampler protocol: chooses the few configurations of a trail worth measuring."""

from typing import Protocol

import numpy as np

from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.selection import Selection
from chameleon_ray.space import DesignSpace


class Sampler(Protocol):
    """Chooses the configurations to measure."""

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> Selection:
        """Chooses one plan's batch.

        Args:
            space: The task's design space.
            trail: Candidates, best first; may be short or empty.
            seen: ``(m, knobs)`` configurations measured before or in flight.
            count: Most configurations wanted.
            rng: The only source of randomness.

        Returns:
            Distinct unseen canonical configurations, ``count`` at most, and how each came into the
            batch; none only where the whole space has been seen.
        """
        ...
