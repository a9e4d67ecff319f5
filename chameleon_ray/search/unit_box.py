"""The unit box: configurations as the points that a Gaussian process takes."""

from dataclasses import dataclass

import numpy as np

from chameleon_ray.space import DesignSpace


@dataclass(frozen=True, eq=False)
class UnitBox:
    """Configurations as points of a box whose sides all have length 1.

    Attributes:
        space: Space of the configurations.
        used: ``(inputs,)`` numbers of the features that are inputs.
        low: ``(inputs,)`` least value of each feature in the space.
        span: ``(inputs,)`` difference between the feature's greatest and its least value.
    """

    space: DesignSpace
    used: np.ndarray
    low: np.ndarray
    span: np.ndarray

    @staticmethod
    def of(space: DesignSpace) -> "UnitBox":
        """Chooses the features of a space that do not follow from others of the same knob."""
        used = np.concatenate([independent(knob.features) for knob in space.knobs])
        columns = [column for knob in space.knobs for column in knob.features.T]
        chosen = [columns[number] for number in np.flatnonzero(used)]
        low, span = [column.min() for column in chosen], [np.ptp(column) for column in chosen]
        return UnitBox(space, np.flatnonzero(used), np.array(low), np.array(span))

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n, inputs)`` points of configurations; 0.5 for knobs that do not count."""
        return self.points(self.space.features(configs))

    def points(self, features: np.ndarray) -> np.ndarray:
        """Returns the ``(n, inputs)`` points of ``(n, features)``; 0.5 where one is NaN."""
        return np.nan_to_num((features[:, self.used] - self.low) / self.span, nan=0.5)


def independent(features: np.ndarray) -> np.ndarray:
    """Finds a largest set of columns none of which is a linear function of the others.

    Args:
        features: ``(choices, features)``; of dependent columns the first ones are kept.

    Returns:
        ``(features,)`` bool.
    """
    basis, chosen = np.ones((len(features), 1)), []
    for column in features.T:
        wider = np.column_stack([basis, column])
        chosen.append(bool(np.linalg.matrix_rank(wider) > basis.shape[1]))
        basis = wider if chosen[-1] else basis
    return np.array(chosen, dtype=bool)
