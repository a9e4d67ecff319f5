"""A task's design space: its knobs, and the configurations that they allow.

A configuration is one choice index per knob: a tuple of ints on its own, an ``(n, knobs)`` int64
array in bulk.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chameleon_ray.knob import Choice, Knob
from chameleon_ray.limit import Limit

Config = tuple[int, ...]
ROUND = 1024
"""Fewest configurations drawn at once where some are not valid."""
SPARE = 4096
"""Number of valid configurations that can replace others, where they cannot all be listed."""


@dataclass(frozen=True, eq=False)
class DesignSpace:
    """Ordered knobs; where ``active`` is given, knob 0 (the sketch) decides which others count.

    Attributes:
        knobs: Knobs in the order of a configuration's entries.
        active: ``(choices of knob 0, knobs)`` bool; a knob that does not count is held at choice 0.
        members: ``(n, knobs)`` the statically valid configurations, where not all are; canonical,
            each once.
        limits: Further limits of valid configurations; some configurations must keep them all.
    """

    knobs: tuple[Knob, ...]
    active: np.ndarray | None = None
    members: np.ndarray | None = None
    limits: tuple[Limit, ...] = ()

    @cached_property
    def dims(self) -> np.ndarray:
        return np.array([len(knob) for knob in self.knobs], dtype=np.int64)

    @cached_property
    def size(self) -> int:
        """Number of distinct configurations; those beyond the limits are counted, too."""
        if self.members is not None:
            return len(self.members)
        if self.active is None:
            return math.prod(int(d) for d in self.dims)
        rest = self.dims[1:]
        return sum(math.prod(int(d) for d in rest[row[1:]]) for row in self.active)

    @cached_property
    def axes(self) -> int:
        return sum(knob.axes for knob in self.knobs)

    @cached_property
    def digest(self) -> str:
        """Name of the space by its knobs and choices (16 hex digits)."""
        body = [(knob.name, knob.choices) for knob in self.knobs]
        active = None if self.active is None else self.active.tolist()
        name = hashlib.sha256(json.dumps([body, active]).encode())
        if self.members is not None:
            name.update(self._sorted_numbers.tobytes())
        if self.limits:
            name.update(repr(self.limits).encode())
        return name.hexdigest()[:16]

    def canonical(self, configs: np.ndarray) -> np.ndarray:
        """Returns the configurations with knobs that do not count set to 0."""
        if self.active is None:
            return configs
        return np.where(self.active[configs[:, 0]], configs, 0)

    def valid(self, configs: np.ndarray) -> np.ndarray:
        """Tells which of ``(n, knobs)`` canonical configurations are valid: ``(n,)`` bool."""
        valid = np.ones(len(configs), dtype=bool)
        if self.members is not None:
            numbers, sought = self._sorted_numbers, self._numbers(configs)
            at = np.minimum(np.searchsorted(numbers, sought), len(numbers) - 1)
            valid = numbers[at] == sought
        for limit in self.limits:
            valid &= limit.allows(configs)
        return valid

    @property
    def whole(self) -> bool:
        """Whether every combination of choices is valid."""
        return self.members is None and not self.limits

    @cached_property
    def _sorted_numbers(self) -> np.ndarray:
        assert self.members is not None
        return np.sort(self._numbers(self.members))

    def _numbers(self, configs: np.ndarray) -> np.ndarray:
        """Converts configurations to ``(n,)`` mixed-radix numbers."""
        return configs @ np.append(np.cumprod(self.dims[:0:-1])[::-1], 1).astype(np.int64)

    def random(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws ``(count, knobs)`` valid configurations; every knob is uniform where all are valid.

        Duplicates are possible.
        """
        if not self.limits:
            return self._drawn(rng, count)
        found = np.empty((0, len(self.knobs)), dtype=np.int64)
        while len(found) < count:
            drawn = self._drawn(rng, max(count, ROUND))
            found = np.concatenate([found, drawn[self.valid(drawn)]])
        return found[:count]

    def _drawn(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.members is not None:
            return self.members[rng.integers(0, len(self.members), size=count)]
        return self.canonical(rng.integers(0, self.dims, size=(count, len(self.knobs))))

    def mutate(self, rng: np.random.Generator, configs: np.ndarray) -> np.ndarray:
        """Sets one counting knob of each configuration to another choice.

        A configuration stays as it is where the result is not valid.
        """
        free = np.repeat(self.dims[None] > 1, len(configs), axis=0)
        if self.active is not None:
            free &= self.active[configs[:, 0]]
        pick = np.argmax(np.where(free, rng.random(free.shape), -1.0), axis=1)
        rows = np.arange(len(configs))
        shift = 1 + np.floor(rng.random(len(configs)) * (self.dims[pick] - 1)).astype(np.int64)
        moved = configs.copy()
        moved[rows, pick] = (configs[rows, pick] + shift) % self.dims[pick]
        return self._or_stay(self.canonical(moved), configs)

    def move(self, configs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Moves each configuration one step along every axis; it stays where that is not valid.

        Args:
            configs: ``(n, knobs)``.
            actions: ``(n, axes)`` of 0 (decrement), 1 (stay), 2 (increment).
        """
        moved, axis = configs.copy(), 0
        for k, knob in enumerate(self.knobs):
            for a in range(knob.axes):
                moved[:, k] = knob.moves[moved[:, k], a, actions[:, axis]]
                axis += 1
        return self._or_stay(self.canonical(moved), configs)

    def _or_stay(self, moved: np.ndarray, configs: np.ndarray) -> np.ndarray:
        return moved if self.whole else np.where(self.valid(moved)[:, None], moved, configs)

    def coordinates(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n, axes)`` positions of configurations in the unit cube."""
        columns = [knob.coordinates[configs[:, k]] for k, knob in enumerate(self.knobs)]
        return np.concatenate(columns, axis=1)

    def features(self, configs: np.ndarray) -> np.ndarray:
        """Returns ``(n, features)`` float32; NaN (missing to trees) where a knob does not count."""
        owner, start, values = self._feature_columns
        at = configs[:, owner] + start
        if self.active is not None:
            at = np.where(self.active[configs[:, 0]][:, owner], at, 0)
        return values[at]

    @cached_property
    def _feature_columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each feature's knob and its column's start in the third array, which holds all columns.

        This takes one look-up for all knobs: annealing often asks for the features of few
        configurations. The third array begins with NaN, for knobs that do not count.
        """
        columns = [(k, column) for k, knob in enumerate(self.knobs) for column in knob.features.T]
        owner = np.array([k for k, _ in columns], dtype=np.int64)
        start = np.cumsum([1, *(len(column) for _, column in columns)], dtype=np.int64)[:-1]
        values = np.concatenate([[np.nan], *(column for _, column in columns)])
        return owner, start, values.astype(np.float32)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Rounds ``(n, axes)`` points, knob by knob, to the nearest choices.

        Where the result is not valid, it is the nearest of the valid configurations, or of some of
        them.
        """
        configs = np.empty((len(points), len(self.knobs)), dtype=np.int64)
        start = 0
        for k, knob in enumerate(self.knobs):
            offsets = points[:, None, start : start + knob.axes] - knob.coordinates[None]
            configs[:, k] = np.argmin((offsets**2).sum(axis=2), axis=1)
            start += knob.axes
        configs = self.canonical(configs)
        strays = np.flatnonzero(~self.valid(configs))
        if len(strays):
            spare = self._spare
            places = self.coordinates(spare)
            for row in strays:
                configs[row] = spare[np.argmin(((places - points[row]) ** 2).sum(axis=1))]
        return configs

    @cached_property
    def _spare(self) -> np.ndarray:
        """All valid configurations; always the same ones of a large space with limits."""
        if self.size <= SPARE or not self.limits:
            return self.enumerate()
        return self.random(np.random.default_rng(0), SPARE)

    def values(self, config: Config) -> dict[str, Choice]:
        """Returns the choice of each counting knob, by name."""
        counts = [True] * len(config) if self.active is None else self.active[config[0]]
        named = zip(self.knobs, config, counts, strict=True)
        return {knob.name: knob.choices[index] for knob, index, used in named if used}

    def config(self, values: Mapping[str, Any]) -> Config | None:
        """Returns the configuration with these choices, by name: the inverse of ``values``.

        Choices of knobs that do not count are ignored. None where a choice is missing or not one of
        this space, or where the configuration is not valid.
        """
        found = [
            knob.index(values[knob.name]) if knob.name in values else None for knob in self.knobs
        ]
        if not found or found[0] is None:
            return None
        counts = [True] * len(found) if self.active is None else self.active[found[0]]
        config = [index if used else 0 for index, used in zip(found, counts, strict=True)]
        if any(index is None for index in config):
            return None
        known = tuple(index for index in config if index is not None)
        return known if self.has(known) else None

    def has(self, config: Config) -> bool:
        """Whether a configuration, of whatever length and numbers, is one of the space's."""
        if len(config) != len(self.knobs) or not config:
            return False
        if any(not 0 <= n < size for n, size in zip(config, self.dims, strict=True)):
            return False
        row = np.array([config], dtype=np.int64)
        return bool((self.canonical(row) == row).all() and self.valid(row)[0])

    def enumerate(self) -> np.ndarray:
        """Lists every valid configuration, once; for small spaces."""
        configs = self._combinations() if self.members is None else self.members
        return configs[self.valid(configs)] if self.limits else configs

    def _combinations(self) -> np.ndarray:
        if self.active is None:
            return _grid(self.dims)
        grids = [_grid(np.where(row, self.dims[1:], 1)) for row in self.active[:, 1:]]
        sketches = [np.full((len(grid), 1), sketch) for sketch, grid in enumerate(grids)]
        return np.hstack([np.concatenate(sketches), np.concatenate(grids)])


def _grid(dims: np.ndarray) -> np.ndarray:
    """Lists all index vectors, ``(product of dims, len(dims))``, the last index varying fastest."""
    inner = np.append(np.cumprod(dims[:0:-1])[::-1], 1).astype(np.int64)
    return np.arange(math.prod(int(d) for d in dims))[:, None] // inner % dims


def distinct(configs: np.ndarray) -> np.ndarray:
    """Returns the unique rows, in the order of their first occurrences."""
    _, first = np.unique(pack(configs), return_index=True)
    return configs[np.sort(first)]


def pack(configs: np.ndarray) -> np.ndarray:
    """Packs rows into ``(n,)`` opaque scalars, equal where the rows are: for set operations."""
    rows = np.ascontiguousarray(configs, dtype=np.int64)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def unseen(configs: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Returns the distinct rows of ``configs`` that are not rows of ``seen``, in their order."""
    fresh = distinct(configs)
    return fresh[~np.isin(pack(fresh), pack(seen))] if len(seen) and len(fresh) else fresh


def as_configs(configs: np.ndarray) -> list[Config]:
    """Converts rows to tuples of plain ints."""
    return [tuple(int(index) for index in row) for row in configs]
