"""Sampling of pictures and volumes at computed places (``grid_sample``).

Along each axis, a sample depends on one element or on two or four neighbours, its taps. The taps of
all axes are gathered at once.
"""

import math
from collections.abc import Sequence

import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Converter, Node

BILINEAR, NEAREST, BICUBIC = 0, 1, 2
ZEROS, BORDER, REFLECTION = 0, 1, 2
Taps = tuple[relax.Expr, relax.Expr]
"""Places of elements, and their weights, both of shape (batch, samples, taps)."""
SHARPNESS = -0.75
"""Torch's parameter of cubic convolution (Keys, 1981, eq. 4)."""


def grid_sample(node: Node) -> relax.Expr:
    """Converts sampling, in all of torch's modes."""
    grid = node.tensor("grid")
    batch, channels, *sizes = node.shape("input")
    spatial, places = len(sizes), node.shape("grid")[1:-1]
    count = math.prod(places)
    joined: Taps | None = None
    for axis, size in enumerate(sizes):
        column = spatial - 1 - axis  # the grid has the last axis first
        place = relax.op.strided_slice(grid, [-1], [column], [column + 1], [1])
        taps = _taps(node, node.reshape(place, (batch, count, 1)), size)
        joined = taps if joined is None else _joined(node, joined, taps, size)
    assert joined is not None
    index, weights = joined
    width = node.shape_of(index)[2]
    index = node.reshape(index, (batch, 1, count * width))
    index = node.emit(relax.op.broadcast_to(index, (batch, channels, count * width)))
    flat = node.reshape(node.tensor("input"), (batch, channels, math.prod(sizes)))
    taken = node.reshape(relax.op.gather_elements(flat, index, 2), (batch, channels, count, width))
    sampled = relax.op.sum(relax.op.multiply(taken, relax.op.expand_dims(weights, 1)), [-1])
    return node.reshape(sampled, (batch, channels, *places))


def _joined(
    node: Node,
    before: tuple[relax.Expr, relax.Expr],
    after: tuple[relax.Expr, relax.Expr],
    size: int,
) -> tuple[relax.Expr, relax.Expr]:
    """Joins taps, and their weights, with those of the next axis, of some extent."""
    batch, count, wide = node.shape_of(before[0])
    width = node.shape_of(after[0])[2]
    rows, columns = (batch, count, wide, 1), (batch, count, 1, width)
    rows_of, weights_of = (node.reshape(one, rows) for one in before)
    taps, factors = (node.reshape(one, columns) for one in after)
    index = relax.op.add(relax.op.multiply(rows_of, node.as_tensor(size, "int64")), taps)
    weights = relax.op.multiply(weights_of, factors)
    whole = (batch, count, wide * width)
    return node.emit(node.reshape(index, whole)), node.emit(node.reshape(weights, whole))


def _taps(node: Node, place: relax.Expr, size: int) -> Taps:
    """Returns the elements of an axis that samples depend on, and their weights.

    Args:
        node: The operation.
        place: Places along the axis from -1 to 1, of shape (batch, samples, 1).
        size: Extent of the axis.

    Returns:
        Both of shape (batch, samples, taps); what lies outside has a weight of zero.
    """
    mode, outside, dtype = (
        int(node["interpolation_mode"]),
        int(node["padding_mode"]),
        node.output.dtype,
    )
    x = _unnormalised(node, place, size)
    if mode != BICUBIC:
        x = node.emit(_inside(node, x, size, outside))
    low = node.emit(relax.op.round(x) if mode == NEAREST else relax.op.floor(x))
    offsets = {BILINEAR: [0, 1], NEAREST: [0], BICUBIC: [-1, 0, 1, 2]}[mode]
    factors = _weights(node, node.emit(relax.op.subtract(x, low)), mode)
    taps = node.emit(relax.op.add(low, node.as_tensor(torch.tensor(offsets), dtype)))
    if mode == BICUBIC:
        taps = node.emit(_inside(node, taps, size, outside))
    last = node.as_tensor(size - 1, dtype)
    zero = node.as_tensor(0, dtype)
    inside = relax.op.logical_and(
        relax.op.greater_equal(taps, zero), relax.op.less_equal(taps, last)
    )
    bounded = relax.op.minimum(relax.op.maximum(taps, zero), last)
    return (
        node.cast(bounded, "int64"),
        node.emit(relax.op.where(inside, factors, node.as_tensor(0, dtype))),
    )


def _unnormalised(node: Node, place: relax.Expr, size: int) -> relax.Expr:
    """Returns places from 0 to the last element, of places from -1 to 1."""
    dtype = node.output.dtype
    half = (size - 1) / 2 if node["align_corners"] else size / 2
    moved = relax.op.add(place, node.as_tensor(1, dtype))
    found = relax.op.multiply(moved, node.as_tensor(half, dtype))
    if not node["align_corners"]:
        found = relax.op.subtract(found, node.as_tensor(0.5, dtype))
    return node.emit(found)


def _inside(node: Node, x: relax.Expr, size: int, outside: int) -> relax.Expr:
    """Moves places that lie outside to where their elements are taken from."""
    if outside == ZEROS:
        return x
    dtype = node.output.dtype
    if outside == REFLECTION:
        low, span = (0.0, size - 1.0) if node["align_corners"] else (-0.5, float(size))
        x = _reflected(node, x, low, span) if span else relax.op.zeros_like(x)
    bounded = relax.op.maximum(x, node.as_tensor(0, dtype))
    return relax.op.minimum(bounded, node.as_tensor(size - 1, dtype))


def _reflected(node: Node, x: relax.Expr, low: float, span: float) -> relax.Expr:
    """Returns places reflected, as often as it takes, at two ends of an axis."""
    dtype = node.output.dtype
    start, length = node.as_tensor(low, dtype), node.as_tensor(span, dtype)
    distance = node.emit(relax.op.abs(relax.op.subtract(x, start)))
    turns = node.emit(relax.op.floor(relax.op.divide(distance, length)))
    rest = node.emit(relax.op.subtract(distance, relax.op.multiply(turns, length)))
    two = node.as_tensor(2, dtype)
    halves = relax.op.multiply(relax.op.floor(relax.op.divide(turns, two)), two)
    even = relax.op.equal(turns, halves)
    back = relax.op.subtract(length, rest)
    return node.emit(relax.op.add(relax.op.where(even, rest, back), start))


def _weights(node: Node, fraction: relax.Expr, mode: int) -> relax.Expr:
    """Returns the weights of taps, of shape (batch, samples, taps)."""
    dtype = node.output.dtype
    if mode == NEAREST:
        return relax.op.ones_like(fraction)
    one = node.as_tensor(1, dtype)
    rest = node.emit(relax.op.subtract(one, fraction))
    if mode == BILINEAR:
        return node.emit(relax.op.concat([rest, fraction], -1))
    near = [_polynomial(node, x, _NEAR) for x in (fraction, rest)]
    far = [_polynomial(node, relax.op.add(x, one), _FAR) for x in (fraction, rest)]
    return node.emit(relax.op.concat([far[0], *near, far[1]], -1))


_NEAR = (SHARPNESS + 2, -(SHARPNESS + 3), 0.0, 1.0)
_FAR = (SHARPNESS, -5 * SHARPNESS, 8 * SHARPNESS, -4 * SHARPNESS)


def _polynomial(node: Node, x: relax.Expr, coefficients: Sequence[float]) -> relax.Expr:
    """Evaluates a polynomial, whose highest coefficient comes first."""
    dtype = node.output.dtype
    x = node.emit(x)
    total: relax.Expr = node.as_tensor(coefficients[0], dtype)
    for coefficient in coefficients[1:]:
        total = relax.op.add(relax.op.multiply(total, x), node.as_tensor(coefficient, dtype))
    return node.emit(total)


CONVERTERS: dict[str, Converter] = {
    "aten.grid_sampler_2d.default": grid_sample,
    "aten.grid_sampler_3d.default": grid_sample,
}
