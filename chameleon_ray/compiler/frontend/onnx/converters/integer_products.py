"""ConvInteger and MatMulInteger: products of small integers less their zero points, in 32 bits."""

from typing import Any

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.converters.convolution import pads_of
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def matmul_integer(node: Node) -> relax.Expr:
    """Converts MatMulInteger; zero points may be of rows of the left and columns of the right."""
    weights, point = _weights(node, 1, 3, -1), node.optional(2)
    rank = node.input(0).ty.ndim
    if point is not None and node.known(2) is None and _is_single(point):
        totals = _totals(weights)
        if totals is not None:
            return _corrected(node, weights, totals, point)
    data = _less(node, 0, 2, -2 if rank > 1 else None)
    return relax.op.matmul(data, weights, out_dtype="int32")


def _corrected(
    node: Node, weights: relax.Expr, totals: np.ndarray, point: relax.Expr
) -> relax.Expr:
    """Subtracts a zero point known only at run time from the sums: what it adds to each column."""
    sums = node.emit(relax.op.matmul(node.input(0), weights, out_dtype="int32"))
    point = relax.op.astype(relax.op.reshape(point, (1,)), "int32")
    return relax.op.subtract(sums, relax.op.multiply(point, constant(totals, "int32")))


def conv_integer(node: Node) -> relax.Expr:
    """Converts ConvInteger, of one axis to three; the edges count as the zero point."""
    weights, rank = _weights(node, 1, 3, 0), node.input(0).ty.ndim
    if rank not in CONVOLUTIONS:
        raise Untranslatable(f"its data have {rank} axes; export convolutions of 1 to 3 only")
    attributes, free = node.attributes, rank - 2
    return CONVOLUTIONS[rank](
        _less(node, 0, 2, None),
        weights,
        strides=attributes.get("strides", [1] * free),
        padding=pads_of(node),
        dilation=attributes.get("dilations", [1] * free),
        groups=int(attributes.get("group", 1)),
        out_dtype="int32",
    )


CONVOLUTIONS: dict[int, Any] = {
    3: relax.op.nn.conv1d,
    4: relax.op.nn.conv2d,
    5: relax.op.nn.conv3d,
}
"""Convolutions by the rank of their data."""


def _weights(node: Node, place: int, point: int, axis: int) -> relax.Expr:
    """Returns weights less their zero points; constants in as few bits as they fit."""
    numbers, zero = node.known(place), node.known(point)
    if numbers is None or (zero is None and node.optional(point) is not None):
        return _less(node, place, point, axis)
    if zero is None:
        zero = np.zeros((), "int32")
    shape = [1] * numbers.ndim
    if zero.size > 1:
        shape[axis] = -1
    less = numbers.astype("int32") - zero.astype("int32").reshape(
        shape if zero.ndim < 2 else zero.shape
    )
    bounds = np.iinfo("int8")
    return constant(
        less, "int8" if bounds.min <= less.min() and less.max() <= bounds.max else "int16"
    )


def _less(node: Node, place: int, point: int, axis: int | None) -> relax.Expr:
    """Returns integers less their zero points, of which there are several along an axis at most."""
    value, zero, numbers = node.input(place), node.optional(point), node.known(point)
    if zero is None or (numbers is not None and not numbers.any()):
        return value
    wide = node.emit(relax.op.astype(value, "int16"))
    if numbers is not None and numbers.size == 1:
        return node.emit(relax.op.subtract(wide, constant(numbers.reshape(()), "int16")))
    zero = node.emit(relax.op.astype(zero, "int16"))
    if zero.ty.ndim < 2:
        shape = [1] * value.ty.ndim
        if axis is not None and not _is_single(zero):
            shape[axis] = -1
        zero = node.emit(relax.op.reshape(zero, shape))
    return node.emit(relax.op.subtract(wide, zero))


def _is_single(value: relax.Expr) -> bool:
    return all(int(size) == 1 for size in value.ty.shape)


def _totals(weights: Any) -> np.ndarray | None:
    """Returns the sum of each column of constant weights with two axes."""
    if not hasattr(weights, "value") or weights.ty.ndim != 2:
        return None
    return weights.value.numpy().astype("int32").sum(0)


CONVERTERS: dict[Key, Converter] = {
    ("", "MatMulInteger"): matmul_integer,
    ("", "ConvInteger"): conv_integer,
}
