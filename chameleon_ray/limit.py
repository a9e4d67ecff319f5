"""Limits: configurations in; what they take of a device, and whether that is too much, out.

How many threads a schedule has and what shared memory it needs follow from products of its tile
sizes. So most of what a device would refuse is known before anything is lowered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Product:
    """A constant times a number for each of some knobs, which its choice stands for.

    Attributes:
        constant: The product where there are no knobs.
        tables: A knob's number, and what each of its choices contributes; a knob may come up twice.
    """

    constant: int = 1
    tables: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def __mul__(self, other: "Product") -> "Product":
        return Product(self.constant * other.constant, self.tables + other.tables)

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` int64."""
        value = np.full(len(configs), self.constant, dtype=np.int64)
        for knob, numbers in self._numbers:
            value *= numbers[configs[:, knob]]
        return value

    @cached_property
    def _numbers(self) -> list[tuple[int, np.ndarray]]:
        return [(knob, np.array(numbers, dtype=np.int64)) for knob, numbers in self.tables]


def product(factors: Iterable[Product | None]) -> Product | None:
    """Of them all; None where one is unknown."""
    result = Product()
    for factor in factors:
        if factor is None:
            return None
        result *= factor
    return result


@dataclass(frozen=True)
class Side:
    """How far a part of a schedule reaches along one axis of a buffer.

    Attributes:
        width: Of a single step.
        steps: Strides, and how many steps of each are made.
    """

    width: int
    steps: tuple[tuple[int, Product], ...]

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` ``width + sum of stride * (steps - 1)``."""
        length = np.full(len(configs), self.width, dtype=np.int64)
        for stride, steps in self.steps:
            length += stride * (steps(configs) - 1)
        return length


@dataclass(frozen=True)
class Box:
    """A part of a buffer.

    Attributes:
        unit: What one element takes.
        sides: Its extents.
        padding: Factor and offset: rows are stretched until their length is the offset, modulo the
            factor, so that columns are spread over memory banks.
    """

    unit: int
    sides: tuple[Side, ...]
    padding: tuple[int, int] = (1, 0)

    @staticmethod
    def of(product: Product) -> "Box":
        """One row, as long as the product says."""
        return Box(1, (Side(1, ((1, product),)),))

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` what it takes."""
        *outer, row = (side(configs) for side in self.sides)
        factor, offset = self.padding
        size = self.unit * (row + (offset - row) % factor)
        for extents in outer:
            size = size * extents
        return size


@dataclass(frozen=True)
class Limit:
    """What the sum of some boxes may be.

    Attributes:
        name: Of what there is a limited amount.
        boxes: Where it goes.
        least: Of their sum.
        most: Of their sum.
        sketches: The choices of knob 0 that it holds for; all where there are none.
    """

    name: str
    boxes: tuple[Box, ...]
    least: int
    most: int
    sketches: tuple[int, ...] = ()

    def amounts(self, configs: np.ndarray) -> np.ndarray:
        """``(n, knobs)`` configurations -> ``(n,)`` the sums."""
        return np.sum([box(configs) for box in self.boxes], axis=0)

    def allows(self, configs: np.ndarray) -> np.ndarray:
        """``(n,)`` bool: which of ``(n, knobs)`` configurations keep it."""
        allowed = np.ones(len(configs), dtype=bool)
        rows = np.flatnonzero(self.concerns(configs))
        amounts = self.amounts(configs[rows])
        allowed[rows] = (amounts >= self.least) & (amounts <= self.most)
        return allowed

    def concerns(self, configs: np.ndarray) -> np.ndarray:
        """``(n,)`` bool: which configurations are of a sketch that it holds for."""
        if not self.sketches:
            return np.ones(len(configs), dtype=bool)
        return np.isin(configs[:, 0], self.sketches)
