"""Chameleon's adaptive sampling: clusters the candidates and measures one of each cluster.

The published code and the paper differ in places; this follows the paper. All knobs are clustered,
as coordinates in the unit cube. Centroids are rounded, not truncated. Configurations seen before
are replaced.
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
from chameleon_ray.search.selection import Selection, completed
from chameleon_ray.space import Config, DesignSpace, as_configs, unseen

Odds = list[tuple[int, float]]
"""One knob's choices with the logarithms of their shares, the most frequent first."""


class AdaptiveSampler:
    """Chameleon's Algorithm 1 with sample synthesis; a more varied trail gives a larger batch."""

    def __init__(self, options: Sampling) -> None:
        self.options = options

    def select(
        self,
        space: DesignSpace,
        trail: Trail,
        seen: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> Selection:
        """Chooses one plan's batch, ``count`` at most; see ``Sampler``.

        The clusters' representatives come first, in the order of the clusters' best candidates. A
        share ``epsilon`` of the batch is random and takes the place of the last representatives.
        """
        candidates = unseen(trail.configs, seen)
        if not len(candidates):
            return completed(space, candidates, seen, count, rng)
        centroids = representatives(space, candidates, count, self.options, rng)
        drawn = round(self.options.epsilon * len(centroids))
        wanted = len(centroids) - drawn
        chosen = unseen(centroids[:wanted], seen)
        taken = np.concatenate([seen, chosen])
        missing, most = wanted - len(chosen), self.options.combinations
        synthetic = synthesise(space, candidates, taken, missing, most)
        return completed(space, chosen, seen, len(centroids), rng, synthetic)


def representatives(
    space: DesignSpace,
    candidates: np.ndarray,
    count: int,
    options: Sampling,
    rng: np.random.Generator,
) -> np.ndarray:
    """Finds one configuration for each cluster of ``candidates``, which come best first.

    A cluster's representative is its best candidate (with ``options.leaders``), or the
    configuration nearest to its centroid.

    Returns:
        ``(k, knobs)`` configurations, in the order of the clusters' best candidates.
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
    """Clusters ``candidates`` by their ``(n, axes)`` positions, into ``count`` clusters at most.

    Columns that keep the sketches apart are appended to the positions.
    """
    if space.active is not None:
        # Sketches lie further apart than two configurations of one sketch, so none share a cluster.
        sketches = np.eye(len(space.knobs[0]))[candidates[:, 0]] * space.axes
        positions = np.concatenate([positions, sketches], axis=1)
    places = len(np.unique(positions, axis=0))
    counts = [k for k in options.clusters if k < places and k <= count]
    return knee(positions, counts or [min(count, places)], options.threshold, rng)


def knee(
    points: np.ndarray, counts: Sequence[int], threshold: float, rng: np.random.Generator
) -> KMeans:
    """Returns the first clustering whose loss times ``threshold`` is no less than the one before.

    Where there is none, it returns the last clustering.

    Args:
        points: ``(n, axes)``.
        counts: Numbers of clusters to try in turn, at least one. The paper increases the number by
            one, which nearly always ends at the second count.
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
    """Synthesises samples (Chameleon section 4.2): the most probable configurations not ``taken``.

    The paper combines each knob's most frequent choice among the candidates, which gives a single
    configuration. Here the next most probable combinations follow it.

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
    """Yields combinations of the candidates' choices once each, by falling product of their shares.

    Shares are counted per sketch, so that a combination has only knobs that count in its sketch.
    """
    sketches = [candidates]
    if space.active is not None:
        used = np.unique(candidates[:, 0])
        sketches = [candidates[candidates[:, 0] == sketch] for sketch in used]
    products = [_combinations(_odds(group), len(group) / len(candidates)) for group in sketches]
    for _, config in heapq.merge(*products):
        yield config


def _odds(candidates: np.ndarray) -> list[Odds]:
    """Returns each knob's choices; of equally frequent ones the better candidate's comes first."""
    counted = [Counter(column.tolist()).most_common() for column in candidates.T]
    return [[(c, math.log(n / len(candidates))) for c, n in choices] for choices in counted]


def _combinations(odds: list[Odds], share: float) -> Iterator[tuple[float, Config]]:
    """Yields combinations of one choice per knob, the most probable first.

    A combination is a rank per knob. It is reached only from the combination whose last rank above
    0 is lower by one, which is no less probable. So each combination comes up once, and in order.

    Yields:
        Minus the logarithm of the combination's product of shares, and its choices.
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
