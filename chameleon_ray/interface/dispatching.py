"""The dispatcher of a library with buckets: takes the one that a call's shapes fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon_ray.interface.signature import Array, CallError, Signature


@dataclass(frozen=True)
class Bucket:
    """A shape that a library was compiled for.

    Attributes:
        entry: Function of the library.
        inputs: Its inputs, in order.
        outputs: Its outputs, in order; empty where their shapes are not known.
        seconds: Median seconds of a call; None where it was not timed.
    """

    entry: str
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...] = ()
    seconds: float | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(one.shape for one in self.inputs)

    def __str__(self) -> str:
        return _text(self.shapes)


@dataclass(frozen=True)
class Call:
    """A call that fits a bucket.

    Attributes:
        entry: Function of the library.
        inputs: Arrays of the bucket's shapes.
        rows: Rows of the outputs that are the caller's; None for all of them.
    """

    entry: str
    inputs: list[Any]
    rows: int | None = None


class Dispatcher:
    """Chooses the bucket of each call."""

    def __init__(self, buckets: Sequence[Bucket], padded: Sequence[int]) -> None:
        """Takes the buckets, the smallest first.

        Args:
            buckets: The buckets; their inputs differ in shapes only.
            padded: Places of the inputs that are padded with rows of zeros; empty where no batch
                may be padded.
        """
        self._buckets, self._padded = tuple(buckets), tuple(padded)
        self._exact = {one.shapes: (one, Signature(one.inputs)) for one in buckets}
        self._first = Signature(buckets[0].inputs)

    def call(self, args: Sequence[Any], named: Mapping[str, Any]) -> Call:
        """Returns the call of a bucket, padded where that is needed and may be done.

        Args:
            args: The first inputs, in order.
            named: The others, by name.

        Raises:
            CallError: An input is missing, or no bucket has such shapes or types.
        """
        arrays = self._first.arrays(args, named)
        shapes = tuple(tuple(one.shape) for one in arrays)
        if shapes in self._exact:
            bucket, signature = self._exact[shapes]
            return Call(bucket.entry, signature.bound(arrays, {}))
        bucket, rows = self._larger(shapes)
        _, signature = self._exact[bucket.shapes]
        wanted = [
            bucket.shapes[place][0] if place in self._padded else None
            for place in range(len(arrays))
        ]
        filled = [
            one if size is None else _padded(one, size)
            for one, size in zip(arrays, wanted, strict=True)
        ]
        return Call(bucket.entry, signature.bound(filled, {}), rows)

    def _larger(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[Bucket, int]:
        """Returns the smallest bucket that the shapes can be padded to, and their batch."""
        batches = {shapes[place][0] for place in self._padded if shapes[place]}
        rows = min(batches, default=0)
        for bucket in self._buckets if rows and len(batches) == 1 else ():
            fits = all(
                given[1:] == own[1:] and len(given) == len(own) and given[0] <= own[0]
                if place in self._padded
                else given == own
                for place, (given, own) in enumerate(zip(shapes, bucket.shapes, strict=True))
            )
            if fits:
                return bucket, rows
        known = "; ".join(map(str, self._buckets))
        how = ", and pads smaller batches" if self._padded else ", and may not pad its inputs"
        raise CallError(
            f"There is no bucket for {_text(shapes)}: the model has {known}{how}; give what fits "
            "one of them, or tune it with that bucket, too."
        )


def _text(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "a scalar" for shape in shapes)


def _padded(array: Any, rows: int) -> Any:
    """Returns an array with rows of zeros after its own, of the kind it is."""
    shape = (rows - array.shape[0], *array.shape[1:])
    if hasattr(array, "new_zeros"):
        import torch

        return torch.cat([array, array.new_zeros(shape)])
    array = np.asarray(array)
    return np.concatenate([array, np.zeros(shape, array.dtype)])
