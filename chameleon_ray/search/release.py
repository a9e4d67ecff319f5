"""ReLeASE's adaptive sampling: makes configurations from each cluster of the candidates.

Ahn, Pilligundla, Esmaeilzadeh: *Reinforcement Learning and Adaptive Sampling for Optimized DNN
Compilation*, 2019 (arXiv 1905.12799), Chameleon's predecessor.
"""

import numpy as np

from chameleon_ray.options import Sampling
from chameleon_ray.search.adaptive import clustered
from chameleon_ray.search.diversity import diverse
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.selection import Selection, completed
from chameleon_ray.space import DesignSpace, distinct, pack, unseen

WIDEST = 2
"""Number of knobs that are clustered: those with the most choices."""


class ReleaseSampler:
    """Clusters the widest knobs of diverse candidates, and draws the others cluster by cluster."""

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

        The clusters come in the order of their best candidates. A share ``epsilon`` of the batch is
        random and takes the place of the last clusters.
        """
        fresh = unseen(trail.configs, seen)[: self.options.diversity * count]
        candidates = fresh[np.sort(diverse(space, fresh, count))]
        if not len(candidates):
            return completed(space, candidates, seen, count, rng)
        centroids = synthetic(space, candidates, count, self.options, rng)
        wanted = len(centroids) - round(self.options.epsilon * len(centroids))
        chosen = substituted(space, centroids[:wanted], candidates, seen, rng)
        picked = np.isin(pack(chosen), pack(candidates))
        return completed(space, chosen[picked], seen, len(centroids), rng, chosen[~picked])


def widest(space: DesignSpace) -> np.ndarray:
    """Returns the knobs with the most choices, in the space's order, a sketch's knob excepted."""
    sizes = space.dims.copy()
    if space.active is not None:
        sizes[0] = 0
    return np.sort(np.argsort(-sizes, kind="stable")[: min(WIDEST, np.count_nonzero(sizes))])


def synthetic(
    space: DesignSpace,
    candidates: np.ndarray,
    count: int,
    options: Sampling,
    rng: np.random.Generator,
) -> np.ndarray:
    """Makes a configuration for each cluster, which may be seen, repeated or not valid.

    The clustered knobs are set to the choices nearest to the centroid. Every other knob is set to
    the choice of a random member of the cluster.

    Returns:
        ``(k, knobs)`` configurations.
    """
    knobs = widest(space)
    plane = DesignSpace(tuple(space.knobs[knob] for knob in knobs))
    positions = plane.coordinates(candidates[:, knobs])
    clustering = clustered(space, candidates, positions, count, options, rng)
    clusters = clustering.labels_[np.sort(np.unique(clustering.labels_, return_index=True)[1])]
    configs = np.empty((len(clusters), len(space.knobs)), dtype=np.int64)
    for row, cluster in enumerate(clusters):
        members = candidates[clustering.labels_ == cluster]
        drawn = rng.integers(len(members), size=len(space.knobs))
        configs[row] = members[drawn, np.arange(len(space.knobs))]
    configs[:, knobs] = plane.nearest(clustering.cluster_centers_[clusters, : plane.axes])
    return space.canonical(configs)


def substituted(
    space: DesignSpace,
    configs: np.ndarray,
    candidates: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Replaces ``configs`` that are seen, repeated or not valid by random candidates."""
    kept = unseen(configs[space.valid(configs)], seen)
    others = candidates[~np.isin(pack(candidates), pack(kept))] if len(kept) else candidates
    missing = len(configs) - len(kept)
    return distinct(np.concatenate([kept, others[rng.permutation(len(others))[:missing]]]))
