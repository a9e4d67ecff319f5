"""ALT's cost model: what was tried in; predicted fitness and predicted error out, in turns.

Zeng et al.: *ALT: Optimizing Tensor Compilation in Deep Learning Compilers with Active Learning*,
ICCD 2020. A classifier turns down what will hardly work; of the rest a score predictor says where
to gain, an uncertainty predictor where the score predictor has something to learn.
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
    """Scores what is likely to work; whatever is not scores less than ``TURNED_DOWN``.

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
        """``(n, knobs)`` configurations -> ``(n,)`` float32 scores."""
        gain = np.maximum(self.gain(configs), np.float32(TURNED_DOWN))
        if self.works is None:
            return gain
        # Among what is turned down the likelier is higher: a walk finds the way out.
        likely = self.works(configs)
        return np.where(likely >= self.validity, gain, TURNED_DOWN - 1 + likely).astype(np.float32)


class PingPongCostModel:
    """Validity filter, score predictor and uncertainty predictor (ALT)."""

    def __init__(self, options: PingPong, boosting: Boosting) -> None:
        self.options, self.boosting = options, boosting

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> FilteredScore:
        """Predicts fitness for plans of an odd number, the first of which is the first after the
        random one, and its error for the others; fitness, too, where no error is known.

        See ``CostModel``.
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
        """Predicts which configurations work; None where too few do, or too few do not."""
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

        It is learnt from the ``(n,)`` records that are judged, each by what the plans before its
        own teach. They all work: where configurations fail is for the filter to learn.
        """
        features, fitness = space.features(known.configs), known.fitness
        errors = np.empty(len(fitness))
        for plan in np.unique(known.plans[judged]):
            before, batch = known.plans < plan, known.plans == plan
            score = boosted(space, features[before], fitness[before], self.boosting, rng)
            errors[batch] = np.abs(fitness[batch] - score(known.configs[batch]))
        return boosted(space, features[judged], errors[judged], self.boosting, rng)
