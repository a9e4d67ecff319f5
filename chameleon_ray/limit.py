"""Limits: the amounts of a device's resources that configurations take, and may take.

A schedule's threads and its shared memory follow from products of its tile sizes. So most of what a
device would refuse is known before anything is lowered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Product:
    """A constant times one number per knob, which depends on the knob's choice.

    Attributes:
        constant: The product where there are no knobs.
        tables: A knob's number, and the factor of each of its choices; a knob may come up twice.
    """

    constant: int = 1
    tables: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def __mul__(self, other: "Product") -> "Product":
        # sorted, as factors may come from a set, and a space's name must not depend on its order
        tables = tuple(sorted(self.tables + other.tables))
        return Product(self.constant * other.constant, tables)

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` int64 products of ``(n, knobs)`` configurations."""
        value = np.full(len(configs), self.constant, dtype=np.int64)
        for knob, numbers in self._numbers:
            value *= numbers[configs[:, knob]]
        return value

    @cached_property
    def _numbers(self) -> list[tuple[int, np.ndarray]]:
        return [(knob, np.array(numbers, dtype=np.int64)) for knob, numbers in self.tables]


def product(factors: Iterable[Product | None]) -> Product | None:
    """Returns the product of all factors; None where one is unknown."""
    result = Product()
    for factor in factors:
        if factor is None:
            return None
        result *= factor
    return result


@dataclass(frozen=True)
class Side:
    """The length of a part of a schedule along one axis of a buffer.

    Attributes:
        width: Width of a single step.
        steps: Strides, and how many steps of each are made.
    """

    width: int
    steps: tuple[tuple[int, Product], ...]

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Returns ``(n,)`` lengths of configurations: ``width + sum of stride * (steps - 1)``."""
        length = np.full(len(configs), self.width, dtype=np.int64)
        for stride, steps in self.steps:
            length += stride * (steps(configs) - 1)
        return length


@dataclass(frozen=True)
class Box:
    """A part of a buffer.

    Attributes:
        unit: Amount that one element takes.
        sides: Its extents.
        padding: Factor and offset. Rows are stretched until their length is the offset, modulo the
            factor, so that columns are spread over memory banks.
    """

    unit: int
    sides: tuple[Side, ...]
    padding: tuple[int, int] = (1, 0)

    @staticmethod
    def of(product: Product) -> "Box":
        """Makes a box of one row, as long as the product says."""
        return Box(1, (Side(1, ((1, product),)),))

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` amounts that the box takes by ``(n, knobs)`` configurations."""
        *outer, row = (side(configs) for side in self.sides)
        factor, offset = self.padding
        size = self.unit * (row + (offset - row) % factor)
        for extents in outer:
            size = size * extents
        return size


@dataclass(frozen=True)
class Limit:
    """The least and the greatest sum that some boxes may have.

    Attributes:
        name: Name of the limited resource.
        boxes: Boxes that take it.
        least: Least sum of the boxes.
        most: Greatest sum of the boxes.
        sketches: Choices of knob 0 that the limit holds for; all where empty.
    """

    name: str
    boxes: tuple[Box, ...]
    least: int
    most: int
    sketches: tuple[int, ...] = ()

    def amounts(self, configs: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` sums of the boxes for ``(n, knobs)`` configurations."""
        return np.sum([box(configs) for box in self.boxes], axis=0)

    def allows(self, configs: np.ndarray) -> np.ndarray:
        """Tells which of ``(n, knobs)`` configurations keep the limit: ``(n,)`` bool."""
        allowed = np.ones(len(configs), dtype=bool)
        rows = np.flatnonzero(self.concerns(configs))
        amounts = self.amounts(configs[rows])
        allowed[rows] = (amounts >= self.least) & (amounts <= self.most)
        return allowed

    def concerns(self, configs: np.ndarray) -> np.ndarray:
        """Tells which configurations are of a sketch that the limit holds for: ``(n,)`` bool."""
        if not self.sketches:
            return np.ones(len(configs), dtype=bool)
        return np.isin(configs[:, 0], self.sketches)
