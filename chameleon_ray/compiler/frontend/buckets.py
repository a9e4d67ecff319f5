"""Buckets: the shapes that one library of a model has, as ``x:{1,2,4,8}x3x224x224`` lists them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.options.buckets import lists_extents

BRACES = re.compile(r"\{([^{}]*)\}")
EXTENTS = re.compile(r"\s*\d+\s*(,\s*\d+\s*)*")


@dataclass(frozen=True)
class Bucket:
    """One of the shapes that a model is compiled for.

    Attributes:
        extents: Its extent of each list in braces, in order.
        inputs: The inputs as ``NAME:SHAPE[:DTYPE]``, without braces.
    """

    extents: tuple[int, ...]
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name for people and of its directory, such as ``bucket-4``; alike extents once."""
        alike = len(set(self.extents)) == 1
        return f"bucket-{'x'.join(map(str, self.extents[:1] if alike else self.extents))}"

    @property
    def weight(self) -> float:
        """Importance of a second of its latency: less for what computes more at a time."""
        specs = [InputSpec.parse(text) for text in self.inputs if "=" not in text]
        return 1 / sum(math.prod(spec.shape) for spec in specs)


def buckets_of(inputs: Sequence[str]) -> tuple[Bucket, ...]:
    """Returns the buckets that inputs list, the smallest first; none without braces.

    The first extents of all lists are one bucket, the second ones another, and so on.

    Args:
        inputs: Inputs as ``--input`` takes them.

    Raises:
        ModelError: The braces cannot be read, do not agree, or list a bucket twice.
    """
    lists = [extents for text in inputs if lists_extents(text) for extents in _lists(text)]
    if not lists:
        return ()
    if len({len(extents) for extents in lists}) > 1:
        counts = " and ".join(str(len(extents)) for extents in lists)
        raise ModelError(
            f"The lists in braces have {counts} extents; give each as many, one for every bucket."
        )
    rows = sorted(zip(*lists, strict=True), key=lambda row: (math.prod(row), row))
    for one, next_one in pairwise(rows):
        if one == next_one:
            twice = "x".join(map(str, one))
            raise ModelError(f"The bucket {twice} is listed twice; list each bucket once.")
    buckets = [Bucket(tuple(row), _filled(inputs, row)) for row in rows]
    for text in buckets[0].inputs:
        InputSpec.parse(text)
    return tuple(buckets)


def _lists(text: str) -> list[tuple[int, ...]]:
    found = BRACES.findall(text)
    left = BRACES.sub("", text)
    if "{" in left or "}" in left or not all(EXTENTS.fullmatch(one) for one in found):
        raise ModelError(
            f"The braces of the input {text!r} do not list extents; write them like "
            "x:{1,2,4,8}x3x224x224."
        )
    return [tuple(map(int, one.split(","))) for one in found]


def _filled(inputs: Sequence[str], extents: Sequence[int]) -> tuple[str, ...]:
    """Returns the inputs with one extent in the place of each list."""
    left = iter(extents)
    return tuple(
        BRACES.sub(lambda _: str(next(left)), text) if lists_extents(text) else text
        for text in inputs
    )
