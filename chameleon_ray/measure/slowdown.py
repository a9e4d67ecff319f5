"""Slowdown: whether one library is slower than another, told from latencies taken in turns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

SIGNIFICANT = 0.002
"""Probability with which equal libraries may look as different, for a slowdown to be believed."""
EXCLUDED = 0.01
"""Probability of seeming as fast for a library at the limit, below which it is not at the limit."""
LEAST = 12
"""Least number of turns; fewer cannot be significant in a busy machine's noise."""


@dataclass(frozen=True)
class Slowdown:
    """The comparison of a library with a baseline.

    Attributes:
        share: By how much the library is slower: 0.05 for 5 %; negative where it is faster.
        chance: Probability of such a difference, or a greater one, between equal libraries.
        turns: Number of turns.
        ratios: Logarithm of the library's latency over the baseline's in each turn, less that of
            what is expected.
    """

    share: float
    chance: float
    turns: int
    ratios: tuple[float, ...] = field(default=(), repr=False, compare=False)

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
        chance = chance_of(ratios[ratios != 0])
        return Slowdown(share, chance, len(ratios), tuple(ratios.tolist()))

    def reaches(self, limit: float) -> bool:
        """Whether it is slower for certain, by ``limit`` or by so much that it may be the limit.

        So a library that is slower by the limit is found nearly always. One that is certainly less
        slow than that is let through, however certainly it is slower.
        """
        below = np.log1p(limit) - np.asarray(self.ratios)
        return self.chance < SIGNIFICANT and chance_of(below[below != 0]) >= EXCLUDED


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
