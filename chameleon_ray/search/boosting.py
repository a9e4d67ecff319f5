"""The XGBoost cost model, and boosted trees for the parts of other models."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from xgboost import Booster, DMatrix, train
from xgboost.callback import TrainingCallback

from chameleon_ray.options import Boosting
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.space import DesignSpace

EVERY = 2
"""Rounds between two looks at the training metric (as in AutoTVM)."""


@dataclass(frozen=True, eq=False)
class BoostedScore:
    """Predicts fitness; carries the trees as bytes and loads them once per process.

    Attributes:
        space: Space of the configurations that it scores.
        trees: The booster in XGBoost's own format.
    """

    space: DesignSpace
    trees: bytes

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Predicts ``(n,)`` float32 fitness of ``(n, knobs)`` configurations; single-threaded."""
        features = self.space.features(configs)
        return self._booster.inplace_predict(features, validate_features=False)

    @cached_property
    def _booster(self) -> Booster:
        return Booster({"nthread": 1}, model_file=bytearray(self.trees))

    def __getstate__(self) -> dict[str, object]:
        return {"space": self.space, "trees": self.trees}


class XGBoostCostModel:
    """Predicts fitness from knob features by regression (``xgb-reg``, Chameleon Table 7)."""

    def __init__(self, options: Boosting) -> None:
        self.options = options

    def fit(self, space: DesignSpace, known: Experience, rng: np.random.Generator) -> BoostedScore:
        """Learns from scratch, in this thread; see ``CostModel``."""
        features, fitness = space.features(known.configs), known.fitness
        if not len(fitness) and known.lessons is not None:
            features, fitness = known.lessons.features, known.lessons.fitness
        return boosted(space, features, fitness, self.options, rng)


def boosted(
    space: DesignSpace,
    features: np.ndarray,
    targets: np.ndarray,
    options: Boosting,
    rng: np.random.Generator,
    **objective: str | float,
) -> BoostedScore:
    """Fits trees to ``(n,)`` targets of ``(n, features)`` configurations, in this thread.

    Args:
        space: Space of the configurations that the trees are to score.
        features: Features of at least one configuration, as the space gives them.
        targets: The values to predict.
        options: The hyper-parameters.
        rng: Draws the rows and columns that each tree sees.
        objective: XGBoost's parameters for the objective, in place of those of squared error.
    """
    parameters = {
        "objective": "reg:squarederror",
        "max_depth": options.depth,
        "learning_rate": options.learning_rate,
        "min_child_weight": options.min_child_weight,
        "gamma": options.split_gain,
        "lambda": options.shrinkage,
        "subsample": options.row_share,
        "colsample_bytree": options.column_share,
        "seed": int(rng.integers(2**31)),
        "nthread": 1,
    }
    data = DMatrix(features, label=targets, nthread=1)
    stop = [] if options.recall is None else [RecallStop(data, options.recall, options.patience)]
    booster = train(parameters | objective, data, num_boost_round=options.rounds, callbacks=stop)
    score = BoostedScore(space, bytes(booster.save_raw()))
    vars(score)["_booster"] = booster  # in this process it need not be loaded
    return score


class RecallStop(TrainingCallback):
    """Ends a fit when the recall of the best records stops growing; keeps all trees.

    This is AutoTVM's early stop. It looks at the training data, so it bounds the length of the fit
    more than its accuracy.
    """

    def __init__(self, data: DMatrix, count: int, patience: int) -> None:
        self.data, self.count, self.patience = data, count, patience
        self.targets = data.get_label()
        self.highest, self.when = -1.0, 0

    def after_iteration(self, model: Booster, epoch: int, evals_log: object) -> bool:
        """Returns True after ``patience`` rounds without a better recall."""
        if epoch % EVERY == 0:
            recall = average_recall(model.predict(self.data), self.targets, self.count)
            if recall > self.highest:
                self.highest, self.when = recall, epoch
        return epoch - self.when >= self.patience


def average_recall(predicted: np.ndarray, actual: np.ndarray, count: int) -> float:
    """Computes AutoTVM's a-recall@``count`` of ``(n,)`` predictions, near 1 for a right order.

    Recall(m) looks at the m highest predictions. It is the number of those whose actual rank,
    counted from 0, is at most m, divided by m + 1. The result is the mean of Recall(0) to
    Recall(count - 1).
    """
    order, rank = np.argsort(-predicted, kind="stable"), np.empty(len(actual), dtype=np.int64)
    rank[np.argsort(-actual, kind="stable")] = np.arange(len(actual))
    # A prediction in place i with actual rank r counts in Recall(m) from m = max(i + 1, r) on.
    begins = np.maximum(np.arange(1, len(actual) + 1), rank[order])
    hits = np.cumsum(np.bincount(begins, minlength=count))[: min(count, len(actual))]
    return float(np.mean(hits / np.arange(1, len(hits) + 1)))
