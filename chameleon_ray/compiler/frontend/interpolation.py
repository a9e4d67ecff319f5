"""Interpolation along an axis: where each output lies in the input, and which inputs it is made of.

All sizes are known, so positions and weights are computed ahead of time, in float32 as frameworks
do it. What is left at run time is a gather, or a weighted sum of few gathers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tvm import relax

from chameleon_ray.compiler.relax import constant

MANY = 4
"""Number of taps above which an axis is resized by a matrix product."""
CUBIC = -0.75
"""Parameter of the cubic kernel in most frameworks."""


@dataclass(frozen=True)
class Axis:
    """An axis that is resized.

    Attributes:
        length: Extent of the input.
        size: Extent of the output.
        scale: Ratio of output to input that positions are computed with.
        start: Beginning of the part of the input that is looked at, as a share of it.
        end: End of that part.
    """

    length: int
    size: int
    scale: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, eq=False)
class Taps:
    """The inputs that each output of an axis is made of.

    Attributes:
        places: Their indices, ``(size, taps)``.
        weights: Their weights, ``(size, taps)``; rows sum up to 1.
    """

    places: np.ndarray
    weights: np.ndarray


def _half_pixel(axis: Axis, i: np.ndarray) -> np.ndarray:
    return (i + 0.5) / axis.scale - 0.5


def _symmetric(axis: Axis, i: np.ndarray) -> np.ndarray:
    # ONNX Runtime adjusts in float32, and divides in float64: that decides where ties fall
    scale = np.float32(axis.scale)
    adjustment = np.float32(axis.size) / (scale * np.float32(axis.length))
    offset = axis.length / 2 * (1 - float(adjustment))
    exact = offset + (i.astype("float64") + 0.5) / float(scale) - 0.5
    return exact.astype("float32")


def _pytorch(axis: Axis, i: np.ndarray) -> np.ndarray:
    return _half_pixel(axis, i) if axis.size > 1 else 0 * i


def _corners(axis: Axis, i: np.ndarray) -> np.ndarray:
    return i * (axis.length - 1) / max(axis.size - 1, 1)


def _crop(axis: Axis, i: np.ndarray) -> np.ndarray:
    last = axis.length - 1
    if axis.size == 1:
        return 0 * i + (axis.start + axis.end) / 2 * last
    return axis.start * last + i * (axis.end - axis.start) * last / (axis.size - 1)


POSITIONS: dict[str, Callable[[Axis, np.ndarray], np.ndarray]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _pytorch,
    "align_corners": _corners,
    "asymmetric": lambda axis, i: i / axis.scale,
    "tf_half_pixel_for_nn": lambda axis, i: (i + 0.5) / axis.scale,
    "tf_crop_and_resize": _crop,
}
"""Position of output ``i`` in the input, by ONNX's name of the transformation."""

ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
"""Roundings of a position to the nearest input, by ONNX's name."""


def positions(axis: Axis, transformation: str) -> np.ndarray:
    """Returns the position of every output in the input, ``(size,)``."""
    return POSITIONS[transformation](axis, np.arange(axis.size, dtype=np.float32))


def nearest(axis: Axis, transformation: str, rounding: str) -> np.ndarray:
    """Returns the index of the input that is nearest to every output, ``(size,)``."""
    exact = positions(axis, transformation)
    return np.clip(ROUNDINGS[rounding](exact), 0, axis.length - 1).astype(np.int64)


def linear(x: np.ndarray) -> np.ndarray:
    """Returns the weight of an input at a distance, by the triangle."""
    return np.clip(1 - np.abs(x), 0, 1)


def cubic(x: np.ndarray, a: float = CUBIC) -> np.ndarray:
    """Returns the weight of an input at a distance, by the cubic kernel (Keys 1981, eq. 15)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def taps(
    axis: Axis,
    transformation: str,
    kernel: Callable[[np.ndarray], np.ndarray],
    radius: int,
    antialias: bool = False,
    exclude_outside: bool = False,
) -> Taps:
    """Returns the inputs that each output is a weighted sum of.

    Args:
        axis: The axis.
        transformation: Name of the positions' formula.
        kernel: Weight of an input at a distance.
        radius: Distance from which on the kernel is 0: 1 for a linear one, 2 for a cubic one.
        antialias: Whether the kernel is as wide as the outputs are apart, where they are few.
        exclude_outside: Whether inputs beyond the ends have no weight, and are not the end's value.
    """
    stretch = min(axis.scale, 1.0) if antialias else 1.0
    exact = positions(axis, transformation)
    reach = int(np.ceil(radius / stretch))
    places = np.floor(exact).astype(np.int64)[:, None] + np.arange(1 - reach, 1 + reach)
    weights = kernel((places - exact[:, None]) * stretch)
    if exclude_outside:
        weights = np.where((places < 0) | (places >= axis.length), 0, weights)
    weights = weights / weights.sum(1, keepdims=True)
    return Taps(np.clip(places, 0, axis.length - 1), weights)


def gathered(data: relax.Expr, axis: int, places: np.ndarray) -> relax.Expr:
    """Takes the inputs at some places along an axis."""
    return relax.op.take(data, constant(places, "int64"), axis, mode="fast")


def summed(builder: relax.BlockBuilder, data: relax.Expr, axis: int, parts: Taps) -> relax.Expr:
    """Sums up the inputs that the outputs of an axis are made of.

    Args:
        builder: Builder of the function.
        data: Floats.
        axis: Axis of ``data``, counted from the beginning.
        parts: Taps of that axis.
    """
    rank, dtype = data.ty.ndim, str(data.ty.dtype)
    if parts.places.shape[1] > MANY:
        return _product(builder, data, axis, parts)
    shape = [-1 if place == axis else 1 for place in range(rank)]
    total: relax.Expr | None = None
    for places, weights in zip(parts.places.T, parts.weights.T, strict=True):
        if not weights.any():
            continue
        value = builder.emit(gathered(data, axis, places))
        value = builder.emit(relax.op.multiply(value, constant(weights.reshape(shape), dtype)))
        total = value if total is None else builder.emit(relax.op.add(total, value))
    assert total is not None
    return total


def _product(builder: relax.BlockBuilder, data: relax.Expr, axis: int, parts: Taps) -> relax.Expr:
    """Multiplies an axis by the matrix of all weights."""
    size, length = parts.places.shape[0], int(data.ty.shape[axis])
    matrix = np.zeros((length, size))
    np.add.at(matrix, (parts.places, np.arange(size)[:, None]), parts.weights)
    order = [place for place in range(data.ty.ndim) if place != axis] + [axis]
    moved = builder.emit(relax.op.permute_dims(data, order))
    product = builder.emit(relax.op.matmul(moved, constant(matrix, str(data.ty.dtype))))
    return builder.emit(relax.op.permute_dims(product, np.argsort(order).tolist()))
