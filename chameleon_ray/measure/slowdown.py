"""Slowdown: whether one library is slower than another, told from latencies taken in turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

SIGNIFICANT = 0.002
"""Probability with which equal libraries may look as different, for a slowdown to be believed."""
LEAST = 12
"""Least number of turns; fewer cannot be significant in a busy machine's noise."""


@dataclass(frozen=True)
class Slowdown:
    """The comparison of a library with a baseline.

    Attributes:
        share: By how much the library is slower: 0.05 for 5 %; negative where it is faster.
        chance: Probability of such a difference, or a greater one, between equal libraries.
        turns: Number of turns.
    """

    share: float
    chance: float
    turns: int

    @staticmethod
    def of(
        library: Sequence[float], baseline: Sequence[float], expected: float = 1.0
    ) -> "Slowdown":
        """Compares latencies turn by turn with Wilcoxon's signed-rank test (1945).

        A turn's two latencies share the machine's state, so what slows both does not count. Ranks
        keep single disturbed timings from counting for more than others.

        Args:
            library: Seconds of the library in each turn.
            baseline: Seconds of the baseline in the same turns.
            expected: Ratio of the two where nothing has changed.

        Raises:
            ValueError: There are fewer than ``LEAST`` turns, or not equally many of both.
        """
        if len(library) != len(baseline) or len(library) < LEAST:
            raise ValueError(f"{len(library)} and {len(baseline)} latencies cannot be compared")
        ratios = np.log(np.asarray(library) / np.asarray(baseline) / expected)
        share = float(np.expm1(np.median(ratios)))
        return Slowdown(share, chance_of(ratios[ratios != 0]), len(ratios))

    def reaches(self, limit: float) -> bool:
        """Whether a slowdown of ``limit`` is believed: significant, and nearer to it than to 0."""
        return self.chance < SIGNIFICANT and self.share > limit / 2


def chance_of(differences: np.ndarray) -> float:
    """Returns the chance of such ranks, or higher ones, if both signs were equally likely.

    Args:
        differences: ``(n,)``, none of them 0; the normal approximation is near from ten on.
    """
    count = len(differences)
    if not count:
        return 1.0
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    above = float(ranks[differences > 0].sum())
    deviation = (count * (count + 1) * (2 * count + 1) / 24) ** 0.5
    return NormalDist().cdf((count * (count + 1) / 4 - above) / deviation)
