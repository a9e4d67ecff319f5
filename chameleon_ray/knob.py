"""A knob: one decision of a schedule, its choices placed on axes and described by features.

A plain list has one axis, a tiling one per cut. Moves (-1/0/+1, Chameleon section 4.1) go along
axes. Clustering measures distances on them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Choice = int | float | str | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Knob:
    """One decision of a schedule.

    Attributes:
        name: Unique within its space.
        choices: The values that the knob may be set to.
        coordinates: ``(choices, axes)`` float64 in [0, 1]; no two rows are equal.
        features: ``(choices, features)`` float32 shown to the cost model.
    """

    name: str
    choices: tuple[Choice, ...]
    coordinates: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.choices)

    @property
    def axes(self) -> int:
        return self.coordinates.shape[1]

    @cached_property
    def moves(self) -> np.ndarray:
        """The ``(choices, axes, 3)`` choices reached by -1, 0, +1 along an axis.

        A move goes to the next choice along that axis among those that agree on all other axes.
        Where there is none, the knob stays as it is.
        """
        table = np.repeat(np.arange(len(self))[:, None, None], self.axes, axis=1).repeat(3, axis=2)
        rounded = np.round(self.coordinates, 9)
        for axis in range(self.axes):
            lines: dict[tuple[float, ...], list[int]] = {}
            for choice in np.argsort(rounded[:, axis], kind="stable"):
                lines.setdefault(tuple(np.delete(rounded[choice], axis)), []).append(int(choice))
            for line in lines.values():
                table[line[1:], axis, 0] = line[:-1]
                table[line[:-1], axis, 2] = line[1:]
        return table

    def featurise(self, value: Choice | Sequence[int]) -> np.ndarray:
        """Returns the ``(features,)`` float32 of a value of another task's knob of the same name.

        A tiling of another extent has features, too. Any other value that is not among the choices
        has none (NaN).
        """
        choice = _frozen(value)
        if choice in self._numbers:
            return self.features[self._numbers[choice]]
        if isinstance(choice, tuple) and all(type(tile) is int and tile > 0 for tile in choice):
            features = np.concatenate(tile_logs(np.array([choice]))[::-1], axis=1)[0]
            if len(features) == self.features.shape[1]:
                return features.astype(np.float32)
        return np.full(self.features.shape[1], np.nan, dtype=np.float32)

    def index(self, value: Choice | Sequence[int]) -> int | None:
        """Returns the number of a choice, which may come from JSON; None where it is none."""
        return self._numbers.get(_frozen(value))

    @cached_property
    def _numbers(self) -> dict[Choice, int]:
        return {choice: number for number, choice in enumerate(self.choices)}

    @staticmethod
    def listed(name: str, choices: Sequence[Choice]) -> "Knob":
        """Makes a knob whose choices lie on one axis: evenly and in their order, or by size.

        They lie by size, as log2, where they are three or more positive numbers. Their features are
        then log2 and, where not all are powers of two, alignment. The feature of other numbers is
        log2(1 + number), or the number where some are negative. The feature of anything else is the
        rank.
        """
        numeric = all(isinstance(choice, int | float) for choice in choices)
        place = np.arange(len(choices), dtype=float)
        features = [place]
        if numeric:
            values = np.array(choices, dtype=float)
            features = [np.log2(1 + values) if (values >= 0).all() else values]
            if len(choices) > 2 and (values > 0).all():
                place = np.log2(values)
                aligned = alignment(values)
                features = [place] if (aligned == place).all() else [place, aligned]
        coordinates = (place - place.min()) / (np.ptp(place) or 1.0)
        return Knob(
            name, tuple(choices), coordinates[:, None], np.stack(features, 1, dtype=np.float32)
        )

    @staticmethod
    def tiling(name: str, extent: int, parts: int, innermost: int) -> "Knob":
        """Makes a knob of all factorisations of ``extent`` into ``parts`` tiles.

        The last tile is at most ``innermost``. Axis j is log2 of the product of the tiles inside
        cut j. So a move along it shifts that cut to its next possible place and leaves every other
        cut where it is. These cumulative products and the tiles themselves (log2) are the features.
        """
        return Knob.tilings(name, factorisations(extent, parts, innermost))

    @staticmethod
    def tilings(name: str, choices: Sequence[tuple[int, ...]]) -> "Knob":
        """Makes a knob of some tilings of one extent, with axes and features as in ``tiling``."""
        logs, inner = tile_logs(np.array(choices))
        features = np.concatenate([inner, logs], axis=1).astype(np.float32)
        scale = max(math.log2(math.prod(choices[0])), 1.0)
        return Knob(name, tuple(choices), inner / scale, features)


def factorisations(extent: int, parts: int, innermost: int) -> list[tuple[int, ...]]:
    """Lists ordered factorisations of ``extent`` into ``parts`` factors.

    The last factor is at most ``innermost``.
    """
    if parts == 1:
        return [(extent,)] if extent <= innermost else []
    found = []
    for first in (d for d in range(1, extent + 1) if extent % d == 0):
        found += [(first, *rest) for rest in factorisations(extent // first, parts - 1, innermost)]
    return found


def _frozen(value: Any) -> Any:
    """Converts a JSON value's lists to tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def tile_logs(tilings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns log2 of ``(n, parts)`` tiles, and of the product inside each cut.

    There are ``parts - 1`` cuts.
    """
    logs = np.log2(tilings.astype(float))
    return logs, np.cumsum(logs[:, ::-1], axis=1)[:, ::-1][:, 1:]


def alignment(values: np.ndarray) -> np.ndarray:
    """Counts how often each number can be halved, which matters to banks, lines and warps.

    Args:
        values: ``(n,)`` positive numbers; the count is 0 for those that are not whole.
    """
    whole = np.where(values % 1 == 0, values, 1).astype(np.int64)
    return np.log2(whole & -whole)
