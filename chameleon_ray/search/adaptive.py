"""Chameleon's adaptive sampling: a trail in, one representative of each of its clusters out.

Against the published code this follows the paper where they differ: all knobs are clustered, as
coordinates in the unit cube; centroids are rounded, not truncated; what was seen is replaced.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from sklearn.cluster import KMeans

from chameleon_ray.options import Sampling
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.random_walk import fill
from chameleon_ray.space import Config, DesignSpace, as_configs, unseen

Odds = list[tuple[int, float]]
"""Choices of one knob with the logarithms of their shares, the most frequent first."""


class AdaptiveSampler:
    """Chameleon Algorithm 1 with sample synthesis; the batch is as large as the trail is varied."""

    def __init__(self, options: Sampling) -> None:
        self.options = options

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """One plan's batch, ``count`` at most; see ``Sampler``.

        The clusters' representatives come first, in order of the clusters' best candidates. A share
        ``epsilon`` is random and takes the place of the last of them.
        """
        candidates = unseen(trail.configs, seen)
        if not len(candidates):
            return fill(space, candidates, seen, count, rng)
        centroids = representatives(space, candidates, count, self.options, rng)
        drawn = round(self.options.epsilon * len(centroids))
        wanted = len(centroids) - drawn
        chosen = unseen(centroids[:wanted], seen)
        taken = np.concatenate([seen, chosen])
        missing, most = wanted - len(chosen), self.options.combinations
        synthetic = synthesise(space, candidates, taken, missing, most)
        return fill(space, np.concatenate([chosen, synthetic]), seen, len(centroids), rng)


def representatives(
    space: DesignSpace,
    candidates: np.ndarray,
    count: int,
    options: Sampling,
    rng: np.random.Generator,
) -> np.ndarray:
    """``(k, knobs)`` one configuration for each cluster of ``candidates`` (best first).

    It is the cluster's best candidate, or what is nearest to its centroid. Those of the clusters
    with the best candidates come first.
    """
    clustering = clustered(space, candidates, space.coordinates(candidates), count, options, rng)
    _, leaders = np.unique(clustering.labels_, return_index=True)
    if options.leaders:
        return candidates[np.sort(leaders)]
    return space.nearest(clustering.cluster_centers_[np.argsort(leaders), : space.axes])


def clustered(
    space: DesignSpace,
    candidates: np.ndarray,
    positions: np.ndarray,
    count: int,
    options: Sampling,
    rng: np.random.Generator,
) -> KMeans:
    """The clusters of ``candidates`` at their ``(n, axes)`` positions, ``count`` at most.

    Columns that keep sketches apart come after the positions' own.
    """
    if space.active is not None:
        # Sketches lie further apart than any two configurations of one, so none shares a cluster.
        sketches = np.eye(len(space.knobs[0]))[candidates[:, 0]] * space.axes
        positions = np.concatenate([positions, sketches], axis=1)
    places = len(np.unique(positions, axis=0))
    counts = [k for k in options.clusters if k < places and k <= count]
    return knee(positions, counts or [min(count, places)], options.threshold, rng)


def knee(
    points: np.ndarray, counts: Sequence[int], threshold: float, rng: np.random.Generator
) -> KMeans:
    """The first clustering whose loss times ``threshold`` is no less than the one before.

    Args:
        points: ``(n, axes)``.
        counts: Numbers of clusters tried in turn, at least one. The paper counts up singly, which
            ends at the second count practically always.
        threshold: The paper's ``threshold_meta``.
        rng: Seeds the centroids.
    """
    previous = math.inf
    for count in counts:
        clustering = KMeans(count, n_init=1, random_state=int(rng.integers(2**31))).fit(points)
        if threshold * clustering.inertia_ >= previous:
            break
        previous = clustering.inertia_
    return clustering


def synthesise(
    space: DesignSpace, candidates: np.ndarray, taken: np.ndarray, count: int, combinations: int
) -> np.ndarray:
    """Sample synthesis (Chameleon section 4.2): the most probable configurations not ``taken``.

    The paper combines each knob's most frequent choice among the candidates, which is one
    configuration; here the next most probable combinations follow it.

    Args:
        space: The task's design space.
        candidates: ``(n, knobs)`` canonical, n >= 1.
        taken: ``(m, knobs)`` configurations not to return.
        count: Most configurations wanted.
        combinations: Most combinations looked at.
    """
    barred = set(as_configs(taken))
    found: list[Config] = []
    for config in islice(most_probable(space, candidates), combinations):
        if len(found) == count:
            break
        if config not in barred and space.valid(np.array([config]))[0]:
            found.append(config)
    return np.array(found, dtype=np.int64).reshape(-1, len(space.knobs))


def most_probable(space: DesignSpace, candidates: np.ndarray) -> Iterator[Config]:
    """Combinations of the candidates' choices, each once, by falling product of their shares.

    Shares are counted sketch by sketch, so that a combination has only knobs that count in it.
    """
    sketches = [candidates]
    if space.active is not None:
        used = np.unique(candidates[:, 0])
        sketches = [candidates[candidates[:, 0] == sketch] for sketch in used]
    products = [_combinations(_odds(group), len(group) / len(candidates)) for group in sketches]
    for _, config in heapq.merge(*products):
        yield config


def _odds(candidates: np.ndarray) -> list[Odds]:
    """Each knob's choices; among equally frequent ones the better candidate's comes first."""
    counted = [Counter(column.tolist()).most_common() for column in candidates.T]
    return [[(c, math.log(n / len(candidates))) for c, n in choices] for choices in counted]


def _combinations(odds: list[Odds], share: float) -> Iterator[tuple[float, Config]]:
    """One choice of each knob, best first, as (minus the logarithm of its product, choices).

    A combination is a rank per knob. It is reached only from the one in which its last rank above 0
    is lower by one, and that one is no less probable: so each comes up once, in order.
    """
    first = (0,) * len(odds)
    best = -math.log(share) - sum(knob[0][1] for knob in odds)
    frontier = [(best, first, 0)]
    while frontier:
        cost, ranks, last = heapq.heappop(frontier)
        yield cost, tuple(knob[rank][0] for knob, rank in zip(odds, ranks, strict=True))
        for k in range(last, len(odds)):
            rank = ranks[k] + 1
            if rank < len(odds[k]):
                step = odds[k][rank - 1][1] - odds[k][rank][1]
                following = (*ranks[:k], rank, *ranks[k + 1 :])
                heapq.heappush(frontier, (cost + step, following, k))
