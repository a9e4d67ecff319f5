"""Elementwise operators whose meaning depends on types and signs: Mod, Pow, BitShift, IsInf."""

import numpy as np
import tvm
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def mod(node: Node) -> relax.Expr:
    """Converts Mod: the remainder has the divisor's sign, or with ``fmod`` the dividend's."""
    left, right = node.input(0), node.input(1)
    truncated = bool(node.attributes.get("fmod", 0))
    if truncated:
        return relax.op.mod(left, right)
    if not _is_float(left):
        return relax.op.floor_mod(left, right)
    remainder = node.emit(relax.op.mod(left, right))
    zero = constant(np.asarray(0), str(left.ty.dtype))
    unlike = node.emit(
        relax.op.not_equal(_is_below(node, remainder, zero), _is_below(node, right, zero))
    )
    some = node.emit(relax.op.not_equal(remainder, zero))
    moved = node.emit(relax.op.add(remainder, right))
    return relax.op.where(node.emit(relax.op.logical_and(unlike, some)), moved, remainder)


def _is_below(node: Node, value: relax.Expr, zero: relax.Expr) -> relax.Expr:
    # as numbers: TVM compares truth values as floats
    return node.emit(relax.op.astype(node.emit(relax.op.less(value, zero)), "int8"))


def power(node: Node) -> relax.Expr:
    """Converts Pow, whose result has the base's type; powers of integers go by way of float64."""
    base, exponent = node.input(0), node.input(1)
    dtype = str(base.ty.dtype)
    if _is_float(base):
        if str(exponent.ty.dtype) != dtype:
            exponent = node.emit(relax.op.astype(exponent, dtype))
        return relax.op.power(base, exponent)
    wide = [node.emit(relax.op.astype(value, "float64")) for value in (base, exponent)]
    raised = node.emit(relax.op.power(*wide))
    return relax.op.astype(raised, dtype)


def bit_shift(node: Node) -> relax.Expr:
    """Converts BitShift: what is shifted by its width, or by less than none, is gone.

    Of a negative number that is shifted right, its sign is left.
    """
    left, right = node.input(0), node.input(1)
    dtype = str(left.ty.dtype)
    width = constant(np.asarray(tvm.DataType(dtype).bits), dtype)
    zero = constant(np.asarray(0), dtype)
    inside = node.emit(relax.op.less(right, width))
    if dtype.startswith("int"):
        at_least = node.emit(relax.op.greater_equal(right, zero))
        inside = node.emit(relax.op.logical_and(inside, at_least))
    count = node.emit(relax.op.where(inside, right, zero))
    if node.attributes["direction"] == "LEFT":
        return relax.op.where(inside, node.emit(relax.op.left_shift(left, count)), zero)
    gone = zero
    if dtype.startswith("int"):
        minus = constant(np.asarray(-1), dtype)
        below = node.emit(relax.op.less(left, zero))
        gone = node.emit(relax.op.where(below, minus, zero))
    return relax.op.where(inside, node.emit(relax.op.right_shift(left, count)), gone)


def is_inf(node: Node) -> relax.Expr:
    """Converts IsInf, which may look for one sign only."""
    data = node.input(0)
    found = node.emit(relax.op.isinf(data))
    zero = constant(np.asarray(0), str(data.ty.dtype))
    for name, comparison in (("negative", relax.op.less), ("positive", relax.op.greater)):
        if not node.attributes.get(f"detect_{name}", 1):
            wanted = relax.op.logical_not(node.emit(comparison(data, zero)))
            found = node.emit(relax.op.logical_and(found, node.emit(wanted)))
    return found


def _is_float(value: relax.Expr) -> bool:
    return "float" in str(value.ty.dtype)


CONVERTERS: dict[Key, Converter] = {
    ("", "Mod"): mod,
    ("", "Pow"): power,
    ("", "BitShift"): bit_shift,
    ("", "IsInf"): is_inf,
}
