"""A task's design space: ordered knobs in; random, moved, rounded, featurised configurations out.

A configuration is one choice index per knob: a tuple of ints on its own, an ``(n, knobs)`` int64
array in bulk. Every knob places its choices at points of one or more *axes*: a plain list has one
axis, a tiling one per cut. Moves (-1/0/+1, Chameleon section 4.1) go along axes, clustering
measures distances on them.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Config = tuple[int, ...]
Choice = int | float | str | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Knob:
    """One decision of a schedule.

    Attributes:
        name: Unique within its space.
        choices: What the knob may be set to.
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
        """``(choices, axes, 3)`` choice reached by -1, 0, +1 along an axis.

        A move goes to the next choice along that axis among those that agree on all other axes;
        where there is none the knob stays as it is.
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

    @staticmethod
    def listed(name: str, choices: Sequence[Choice]) -> "Knob":
        """A knob whose choices are ordered as given, evenly spaced on one axis."""
        rank = np.arange(len(choices), dtype=float)
        numbers = all(isinstance(choice, int | float) for choice in choices)
        feature = np.array(choices, dtype=float) if numbers else rank
        coordinates = rank[:, None] / max(len(choices) - 1, 1)
        return Knob(name, tuple(choices), coordinates, feature[:, None].astype(np.float32))

    @staticmethod
    def tiling(name: str, extent: int, parts: int, innermost: int) -> "Knob":
        """All factorisations of ``extent`` into ``parts`` tiles, the last at most ``innermost``.

        Axis j is log2 of the product of the tiles inside cut j, so a move along it shifts that cut
        to its next possible place and leaves every other cut where it is. These cumulative
        products and the tiles themselves (log2) are the features.
        """
        tilings = factorisations(extent, parts, innermost)
        logs = np.log2(np.array(tilings, dtype=float))
        inner = np.cumsum(logs[:, ::-1], axis=1)[:, ::-1][:, 1:]
        coordinates = inner / max(math.log2(extent), 1.0)
        features = np.concatenate([logs, inner], axis=1).astype(np.float32)
        return Knob(name, tuple(tilings), coordinates, features)


def factorisations(extent: int, parts: int, innermost: int) -> list[tuple[int, ...]]:
    """Ordered factorisations of ``extent`` into ``parts`` factors, the last <= ``innermost``."""
    if parts == 1:
        return [(extent,)] if extent <= innermost else []
    found = []
    for first in (d for d in range(1, extent + 1) if extent % d == 0):
        found += [(first, *rest) for rest in factorisations(extent // first, parts - 1, innermost)]
    return found


@dataclass(frozen=True, eq=False)
class DesignSpace:
    """Ordered knobs; where ``active`` is given, knob 0 (the sketch) decides which others count.

    Attributes:
        knobs: In the order of a configuration's entries.
        active: ``(choices of knob 0, knobs)`` bool; a knob that does not count is held at choice 0.
    """

    knobs: tuple[Knob, ...]
    active: np.ndarray | None = None

    @cached_property
    def dims(self) -> np.ndarray:
        return np.array([len(knob) for knob in self.knobs], dtype=np.int64)

    @cached_property
    def size(self) -> int:
        """Number of distinct configurations."""
        if self.active is None:
            return math.prod(int(d) for d in self.dims)
        rest = self.dims[1:]
        return sum(math.prod(int(d) for d in rest[row[1:]]) for row in self.active)

    @cached_property
    def axes(self) -> int:
        return sum(knob.axes for knob in self.knobs)

    @cached_property
    def digest(self) -> str:
        """Names the space by its knobs and choices (16 hex digits)."""
        body = [(knob.name, knob.choices) for knob in self.knobs]
        active = None if self.active is None else self.active.tolist()
        return hashlib.sha256(json.dumps([body, active]).encode()).hexdigest()[:16]

    def canonical(self, configs: np.ndarray) -> np.ndarray:
        """The same configurations with knobs that do not count set to 0."""
        if self.active is None:
            return configs
        return np.where(self.active[configs[:, 0]], configs, 0)

    def random(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """``(count, knobs)`` configurations, every knob uniform; duplicates are possible."""
        return self.canonical(rng.integers(0, self.dims, size=(count, len(self.knobs))))

    def mutate(self, rng: np.random.Generator, configs: np.ndarray) -> np.ndarray:
        """Each configuration with one of its counting knobs set to another choice."""
        free = np.repeat(self.dims[None] > 1, len(configs), axis=0)
        if self.active is not None:
            free &= self.active[configs[:, 0]]
        pick = np.argmax(np.where(free, rng.random(free.shape), -1.0), axis=1)
        rows = np.arange(len(configs))
        shift = 1 + np.floor(rng.random(len(configs)) * (self.dims[pick] - 1)).astype(np.int64)
        moved = configs.copy()
        moved[rows, pick] = (configs[rows, pick] + shift) % self.dims[pick]
        return self.canonical(moved)

    def move(self, configs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """One step of every configuration along every axis.

        Args:
            configs: ``(n, knobs)``.
            actions: ``(n, axes)`` of 0 (decrement), 1 (stay), 2 (increment).
        """
        moved, axis = configs.copy(), 0
        for k, knob in enumerate(self.knobs):
            for a in range(knob.axes):
                moved[:, k] = knob.moves[moved[:, k], a, actions[:, axis]]
                axis += 1
        return self.canonical(moved)

    def coordinates(self, configs: np.ndarray) -> np.ndarray:
        """``(n, axes)`` positions in the unit cube."""
        columns = [knob.coordinates[configs[:, k]] for k, knob in enumerate(self.knobs)]
        return np.concatenate(columns, axis=1)

    def features(self, configs: np.ndarray) -> np.ndarray:
        """``(n, features)`` float32; knobs that do not count are NaN (missing, for the trees)."""
        owner, start, values = self._feature_columns
        at = configs[:, owner] + start
        if self.active is not None:
            at = np.where(self.active[configs[:, 0]][:, owner], at, 0)
        return values[at]

    @cached_property
    def _feature_columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each feature's knob and where its column starts in the third array, which holds all.

        One look-up for all knobs: annealing asks for the features of few configurations, often.
        The third array begins with NaN, for knobs that do not count.
        """
        columns = [(k, column) for k, knob in enumerate(self.knobs) for column in knob.features.T]
        owner = np.array([k for k, _ in columns], dtype=np.int64)
        start = np.cumsum([1, *(len(column) for _, column in columns)], dtype=np.int64)[:-1]
        values = np.concatenate([[np.nan], *(column for _, column in columns)])
        return owner, start, values.astype(np.float32)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """``(n, axes)`` points rounded, knob by knob, to the nearest choices."""
        configs = np.empty((len(points), len(self.knobs)), dtype=np.int64)
        start = 0
        for k, knob in enumerate(self.knobs):
            offsets = points[:, None, start : start + knob.axes] - knob.coordinates[None]
            configs[:, k] = np.argmin((offsets**2).sum(axis=2), axis=1)
            start += knob.axes
        return self.canonical(configs)

    def values(self, config: Config) -> dict[str, Choice]:
        """What each counting knob is set to, by name."""
        counts = [True] * len(config) if self.active is None else self.active[config[0]]
        named = zip(self.knobs, config, counts, strict=True)
        return {knob.name: knob.choices[index] for knob, index, used in named if used}

    def enumerate(self) -> np.ndarray:
        """Every configuration, once; for small spaces."""
        if self.active is None:
            return _grid(self.dims)
        grids = [_grid(np.where(row, self.dims[1:], 1)) for row in self.active[:, 1:]]
        sketches = [np.full((len(grid), 1), sketch) for sketch, grid in enumerate(grids)]
        return np.hstack([np.concatenate(sketches), np.concatenate(grids)])


def _grid(dims: np.ndarray) -> np.ndarray:
    """``(product of dims, len(dims))`` all index vectors, the last index varying fastest."""
    inner = np.append(np.cumprod(dims[:0:-1])[::-1], 1).astype(np.int64)
    return np.arange(math.prod(int(d) for d in dims))[:, None] // inner % dims


def distinct(configs: np.ndarray) -> np.ndarray:
    """Unique rows, first occurrences, in their order."""
    _, first = np.unique(pack(configs), return_index=True)
    return configs[np.sort(first)]


def pack(configs: np.ndarray) -> np.ndarray:
    """``(n,)`` opaque scalars, equal where the rows are equal: for set operations on rows."""
    rows = np.ascontiguousarray(configs, dtype=np.int64)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def unseen(configs: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The distinct rows of ``configs`` that are not rows of ``seen``, in their order."""
    fresh = distinct(configs)
    return fresh[~np.isin(pack(fresh), pack(seen))] if len(seen) and len(fresh) else fresh


def as_configs(configs: np.ndarray) -> list[Config]:
    """Rows as tuples of plain ints."""
    return [tuple(int(index) for index in row) for row in configs]
