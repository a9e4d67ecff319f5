"""ALT's cost model, which scores by predicted fitness and by predicted error in turns.

Zeng et al.: *ALT: Optimizing Tensor Compilation in Deep Learning Compilers with Active Learning*,
ICCD 2020. A classifier turns down configurations that will hardly work. Of the others, a score
predictor finds those that may be fast. An uncertainty predictor finds those that the score
predictor can learn from.
"""

from dataclasses import dataclass, replace

import numpy as np

from chameleon_ray.options import Boosting, PingPong
from chameleon_ray.search.active import TURNED_DOWN
from chameleon_ray.search.boosting import BoostedScore, boosted
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.space import DesignSpace


@dataclass(frozen=True, eq=False)
class FilteredScore:
    """Scores what is likely to work; everything else scores less than ``TURNED_DOWN``.

    Attributes:
        gain: The score of what is likely to work.
        works: Predicts the probability that a configuration works; nothing is turned down where
            None.
        validity: Least probability that is likely enough.
    """

    gain: BoostedScore
    works: BoostedScore | None
    validity: float

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` float32 scores of ``(n, knobs)`` configurations."""
        gain = np.maximum(self.gain(configs), np.float32(TURNED_DOWN))
        if self.works is None:
            return gain
        # Of those turned down, the likelier ones score higher, so that a walk finds a way out.
        likely = self.works(configs)
        return np.where(likely >= self.validity, gain, TURNED_DOWN - 1 + likely).astype(np.float32)


class PingPongCostModel:
    """ALT's validity filter, score predictor and uncertainty predictor."""

    def __init__(self, options: PingPong, boosting: Boosting) -> None:
        self.options, self.boosting = options, boosting

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> FilteredScore:
        """Predicts fitness for plans of an odd number, and its error for the others.

        The first odd plan is the first after the random one. Where no error is known, fitness is
        predicted for all plans. See ``CostModel``.
        """
        features = space.features(known.configs)
        works = self._filter(space, features, known.fitness > 0, rng)
        latest = np.unique(known.plans)[1:][-self.options.batches :]
        judged = (known.fitness > 0) & np.isin(known.plans, latest)
        if known.plans[-1] % 2 == 1 and judged.any():
            gain = self._uncertainty(space, known, judged, rng)
        else:
            gain = boosted(space, features, known.fitness, self.boosting, rng)
        return FilteredScore(gain, works, self.options.validity)

    def _filter(
        self, space: DesignSpace, features: np.ndarray, works: np.ndarray, rng: np.random.Generator
    ) -> BoostedScore | None:
        """Predicts which configurations work; None where too few did, or too few failed."""
        working = int(works.sum())
        failed = len(works) - working
        if min(working, failed) < self.options.samples:
            return None
        return boosted(
            space,
            features,
            works.astype(float),
            replace(self.boosting, recall=None),
            rng,
            objective="binary:logistic",
            scale_pos_weight=failed / working,
        )

    def _uncertainty(
        self, space: DesignSpace, known: Experience, judged: np.ndarray, rng: np.random.Generator
    ) -> BoostedScore:
        """Predicts by how much a predicted fitness is mistaken.

        It learns from the ``(n,)`` judged records, and predicts each from the plans before its own.
        The judged records all work: the filter learns where configurations fail.
        """
        features, fitness = space.features(known.configs), known.fitness
        errors = np.empty(len(fitness))
        for plan in np.unique(known.plans[judged]):
            before, batch = known.plans < plan, known.plans == plan
            score = boosted(space, features[before], fitness[before], self.boosting, rng)
            errors[batch] = np.abs(fitness[batch] - score(known.configs[batch]))
        return boosted(space, features[judged], errors[judged], self.boosting, rng)
