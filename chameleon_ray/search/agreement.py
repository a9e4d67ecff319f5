"""Agreement: how far another task orders configurations as this one's measurements do.

Tasks are believed by the pairs that they put in the right order, as in the ranking-weighted
ensemble of Feurer, Letham and Bakshy, *Scalable Meta-Learning for Bayesian Optimization*, 2018.
Ranks are compared, not times: those of two devices need not be alike.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def agreement(
    points: np.ndarray, fitness: np.ndarray, known: np.ndarray, taught: np.ndarray
) -> int:
    """Counts the pairs of measurements that another task puts in order, less those it reverses.

    It foretells the fitness of a point by that of its nearest own one.

    Args:
        points: ``(n, inputs)`` points that were measured.
        fitness: ``(n,)`` fitness of each.
        known: ``(m, inputs)`` points of the other task, one at least.
        taught: ``(m,)`` fitness of each there.

    Returns:
        The number, which is 0 at least: a task that reverses more than it orders says nothing.
    """
    apart = ((points[:, None] - known) ** 2).sum(axis=2)
    foretold = taught[apart.argmin(axis=1)]
    signs = np.sign(np.subtract.outer(fitness, fitness) * np.subtract.outer(foretold, foretold))
    return max(int(signs.sum()) // 2, 0)


def turns(lists: Sequence[Sequence[T]], weights: Sequence[int]) -> list[T]:
    """Merges lists so that any beginning has of each as much as its weight says.

    The next item is of the list whose weight over its items so far is greatest, as seats are given
    by D'Hondt's method. Lists of weight 0 are left out, unless all are: then all weigh the same.

    Args:
        lists: What is merged, in order; of equal claims the first list's comes first.
        weights: A weight of each list, not negative.
    """
    equal = not any(weights)
    claims = [
        ((1 if equal else weight) / (place + 1), -number, item)
        for number, (items, weight) in enumerate(zip(lists, weights, strict=True))
        for place, item in enumerate(items)
        if equal or weight
    ]
    return [item for *_, item in sorted(claims, key=lambda claim: claim[:2], reverse=True)]
