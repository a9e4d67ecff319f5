"""Slowdown: whether one library is slower than another, told from pairs of processes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

SIGNIFICANT = 0.002
"""Probability with which equal libraries may look as different, for a slowdown to be believed."""
EXCLUDED = 0.005
"""Probability of seeming as fast for a library at the limit, below which it is not at the limit."""
LAYOUT = 0.005
"""Share by which equal libraries may differ in all processes of a comparison.

Their code keeps its pages of memory from process to process, which no number of pairs averages out.
"""
LEAST = 10
"""Least number of pairs; with fewer, even those that all agree are hardly significant."""

Times = Sequence[float]


@dataclass(frozen=True)
class Slowdown:
    """The comparison of a library with a baseline.

    Attributes:
        share: By how much the library is slower: 0.05 for 5 %; negative where it is faster.
        chance: Probability of such a difference, or a greater one, between libraries that are equal
            but for ``LAYOUT``.
        pairs: Number of pairs of processes.
        ratios: Each pair's ``pair_ratio``.
    """

    share: float
    chance: float
    pairs: int
    ratios: tuple[float, ...] = field(default=(), repr=False, compare=False)

    @staticmethod
    def of(ratios: Sequence[float]) -> "Slowdown":
        """Compares the ratios of pairs with Wilcoxon's signed-rank test (1945).

        Turns in one process are no independent evidence, as they have the addresses and the pages
        of memory in common that the libraries got there (Mytkowicz et al., ASPLOS 2009): the test
        is of one number per pair of processes, not of turns. Ranks keep pairs that something
        disturbed from counting for more than others.

        Args:
            ratios: What ``pair_ratio`` gives of each pair.

        Raises:
            ValueError: There are fewer than ``LEAST``.
        """
        if len(ratios) < LEAST:
            raise ValueError(f"{len(ratios)} pairs cannot be compared")
        known = np.asarray(ratios)
        share, chance = float(np.expm1(np.median(known))), chance_of(known - LAYOUT)
        return Slowdown(share, chance, len(known), tuple(known.tolist()))

    def reaches(self, limit: float) -> bool:
        """Whether it is slower for certain, by ``limit`` or by so much that it may be the limit.

        So a library that is slower by the limit is found nearly always. One that is certainly less
        slow than the limit less ``LAYOUT`` is let through, however certainly it is slower.
        """
        return self._slower and not self._below(limit)

    def clear(self, limit: float) -> bool:
        """Whether more pairs are not needed: it is certainly below the limit, or slower and above.

        Who looks again after more pairs has each look's chance of an error, so few looks are good:
        with three, equal libraries fail in 3 * ``SIGNIFICANT`` of all comparisons at most, and ones
        that are slower by the limit pass in 3 * ``EXCLUDED`` (Bonferroni's inequality).
        """
        return self._below(limit) or (self._slower and self.share >= limit - LAYOUT)

    @property
    def _slower(self) -> bool:
        return self.chance < SIGNIFICANT

    def _below(self, limit: float) -> bool:
        return chance_of(np.log1p(limit) - LAYOUT - np.asarray(self.ratios)) < EXCLUDED


def pair_ratio(first: tuple[Times, Times], second: tuple[Times, Times], expected: float) -> float:
    """Returns the logarithm of a library's latency over its baseline's, in a pair of processes.

    The library was loaded first in one process and last in the other, so that what the order does
    is in both directions, and cancels. A turn's two latencies share the machine's state, so what
    slows both does not count.

    Args:
        first: Seconds of the library and of the baseline in each turn of one process. Where one has
            fewer turns than the other, the other's last ones do not count.
        second: The same of the other process.
        expected: Ratio of the two where nothing has changed.
    """
    medians = []
    for ours, theirs in (first, second):
        turns = min(len(ours), len(theirs))
        medians.append(np.median(np.log(np.divide(ours[:turns], theirs[:turns]))))
    return float(np.mean(medians) - np.log(expected))


def chance_of(differences: np.ndarray) -> float:
    """Returns the chance of such ranks, or higher ones, if both signs were equally likely.

    Args:
        differences: ``(n,)``; what is 0 has no sign and does not count.
    """
    differences = differences[differences != 0]
    count = len(differences)
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    above = int(ranks[differences > 0].sum())
    chances = np.zeros(count * (count + 1) // 2 + 1)  # of each sum of ranks
    chances[0] = 1.0
    for rank in range(1, count + 1):
        chances[rank:] += chances[:-rank].copy()
        chances /= 2
    return float(min(chances[above:].sum(), 1.0))
