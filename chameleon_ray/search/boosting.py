"""The XGBoost cost model: tried configurations in, a picklable score out."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from xgboost import Booster, DMatrix, train

from chameleon_ray.options import Boosting
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.space import DesignSpace


@dataclass(frozen=True, eq=False)
class BoostedScore:
    """Predicts fitness; carries the trees as bytes and loads them once per process.

    Attributes:
        space: Whose configurations it scores.
        trees: The booster in XGBoost's own format.
    """

    space: DesignSpace
    trees: bytes

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` float32 predicted fitness; single-threaded."""
        features = self.space.features(configs)
        return self._booster.inplace_predict(features, validate_features=False)

    @cached_property
    def _booster(self) -> Booster:
        return Booster({"nthread": 1}, model_file=bytearray(self.trees))

    def __getstate__(self) -> dict[str, object]:
        return {"space": self.space, "trees": self.trees}


class XGBoostCostModel:
    """Regression on fitness from knob features (``xgb-reg``, Chameleon Table 7)."""

    def __init__(self, options: Boosting) -> None:
        self.options = options

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> BoostedScore:
        """Learns from scratch, in this thread; see ``CostModel``."""
        options = self.options
        parameters = {
            "objective": "reg:squarederror",
            "max_depth": options.depth,
            "learning_rate": options.learning_rate,
            "min_child_weight": options.min_child_weight,
            "subsample": options.row_share,
            "colsample_bytree": options.column_share,
            "seed": int(rng.integers(2**31)),
            "nthread": 1,
        }
        data = DMatrix(space.features(known.configs), label=known.fitness, nthread=1)
        booster = train(parameters, data, num_boost_round=options.rounds)
        return BoostedScore(space, bytes(booster.save_raw()))
