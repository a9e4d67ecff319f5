"""What a layer's measurements say of its space: where they lay, what was foretold, what matters.

The trees that judge knobs are fitted when the report is made. They are not the cost model of the
search, which saw fewer records.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chameleon_ray.options import Boosting
from chameleon_ray.record import Record
from chameleon_ray.report.parts import chosen_by
from chameleon_ray.space import DesignSpace
from chameleon_ray.vendor import is_searched

LEAST = 12
"""Fewest measured configurations of a layer that say something."""
FOLDS = 4
"""Number of parts of the records, each foretold from the others."""
SHUFFLES = 4
"""Times that a knob's choices are shuffled among the records."""
TREES = Boosting(rounds=60, depth=4)


@dataclass(frozen=True)
class Knobs:
    """What the measurements of one task say.

    Attributes:
        places: ``(n, 2)`` positions along the two principal components of the unit cube.
        spread: Share of the variance of the positions that each component has.
        latencies: ``(n,)`` milliseconds; not finite for failures.
        fitness: ``(n,)`` throughput over the best; 0 for failures.
        chosen_by: What chose each configuration.
        foretold: ``(n,)`` fitness that trees foretell which were fitted without it.
        importance: How much of the fitness hangs on each knob, by its name, the largest first; the
            sum is 1.
    """

    places: np.ndarray
    spread: tuple[float, float]
    latencies: np.ndarray
    fitness: np.ndarray
    chosen_by: tuple[str, ...]
    foretold: np.ndarray
    importance: dict[str, float]


def knobs_of(space: DesignSpace, records: Sequence[Record]) -> Knobs | None:
    """Judges the knobs of a task; None where there are too few measurements, or all are equal.

    Args:
        space: Its design space.
        records: Its own records.
    """
    tried = [record for record in records if is_searched(record.config)]
    latencies = np.array([record.latency for record in tried])
    if not space.knobs or len(tried) < LEAST or np.isfinite(latencies).sum() < LEAST // 2:
        return None
    configs = np.array([record.config for record in tried], dtype=np.int64)
    fitness = latencies.min() / latencies
    if np.ptp(fitness) == 0:
        return None
    places, spread = principal(space.coordinates(configs))
    return Knobs(
        places=places,
        spread=spread,
        latencies=1e3 * latencies,
        fitness=fitness,
        chosen_by=tuple(chosen_by(record) for record in tried),
        foretold=foretold(space, configs, fitness),
        importance=importance(space, configs, fitness),
    )


def principal(points: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Returns ``(n, 2)`` positions along the principal components of ``(n, axes)`` points.

    With them come the shares of the variance. A component that does not exist is 0.
    """
    centred = points - points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(points), 2))
    places[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    shares = np.append(sizes**2, [0.0, 0.0]) / max(float((sizes**2).sum()), 1e-12)
    return places, (float(shares[0]), float(shares[1]))


def foretold(space: DesignSpace, configs: np.ndarray, fitness: np.ndarray) -> np.ndarray:
    """Returns the ``(n,)`` fitness of each configuration, foretold by trees that did not see it."""
    from chameleon_ray.search.boosting import boosted  # XGBoost: not where nothing is reported

    rng = np.random.default_rng(0)
    fold = rng.permutation(len(configs)) % FOLDS
    found, features = np.zeros(len(configs)), space.features(configs)
    for part in range(FOLDS):
        known = fold != part
        score = boosted(space, features[known], fitness[known], TREES, rng)
        found[~known] = np.clip(score(configs[~known]), 0.0, 1.0)
    return found


def importance(space: DesignSpace, configs: np.ndarray, fitness: np.ndarray) -> dict[str, float]:
    """Returns how much trees err where each knob is shuffled, over the sum of these errors.

    This is Breiman's permutation importance (2001), of trees that were fitted to the same records.
    """
    from chameleon_ray.search.boosting import boosted

    rng = np.random.default_rng(0)
    score = boosted(space, space.features(configs), fitness, TREES, rng)
    told = score(configs)
    found = {}
    for number, knob in enumerate(space.knobs):
        losses = []
        for _ in range(SHUFFLES if len(knob) > 1 else 0):
            shuffled = configs.copy()
            shuffled[:, number] = rng.permutation(shuffled[:, number])
            losses.append(float(np.mean((score(shuffled) - told) ** 2)))
        found[knob.name] = float(np.mean(losses)) if losses else 0.0
    whole = sum(found.values()) or 1.0
    return {name: loss / whole for name, loss in sorted(found.items(), key=lambda one: -one[1])}
