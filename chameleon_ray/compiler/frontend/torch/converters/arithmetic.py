"""Arithmetic with more to it than an operator of Relax: divisions, powers, bounds, signs."""

import math
from collections.abc import Callable
from typing import Any

from tvm import relax

from chameleon_ray.compiler.frontend.torch.converters.elementwise import (
    OVERLOADS,
    binary,
    both,
    is_float,
)
from chameleon_ray.compiler.frontend.torch.node import Complex, Converter, Node

Op = Callable[..., relax.Expr]


def scaled(op: Op) -> Converter:
    """Makes a converter of an addition or subtraction of ``alpha`` times the other argument."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        other = node.tensor("other", dtype)
        alpha = node.get("alpha", 1)
        if alpha != 1:
            other = relax.op.multiply(other, node.as_tensor(alpha, dtype))
        return op(node.tensor("self", dtype), other)

    return convert


def divide(node: Node) -> relax.Expr:
    """Converts a division, exact or rounded in one of two ways."""
    mode, dtype = node.get("rounding_mode"), node.output.dtype
    x, y = node.tensor("self", dtype), node.tensor("other", dtype)
    if mode == "floor":
        return floor_quotient(node, x, y)
    quotient = node.emit(relax.op.divide(x, y))
    return relax.op.trunc(quotient) if mode == "trunc" and is_float(dtype) else quotient


def floor_quotient(node: Node, x: relax.Expr, y: relax.Expr) -> relax.Expr:
    """Returns ``x // y`` as Python rounds it."""
    if not is_float(str(x.ty.dtype)):
        return relax.op.floor_divide(x, y)
    # exact multiples stay exact: (x - x mod y) / y, not floor(x / y)
    whole = node.emit(relax.op.divide(relax.op.subtract(x, float_remainder(node, x, y)), y))
    rounded = relax.op.round(whole)
    return relax.op.where(relax.op.isfinite(whole), rounded, relax.op.divide(x, y))


def float_remainder(node: Node, x: relax.Expr, y: relax.Expr) -> relax.Expr:
    """Returns ``x`` modulo ``y``, with the sign of ``y``."""
    quotient = relax.op.floor(relax.op.divide(x, y))
    return node.emit(relax.op.subtract(x, relax.op.multiply(quotient, y)))


def remainder(node: Node) -> relax.Expr:
    """Converts a modulus with the divisor's sign."""
    dtype = node.output.dtype
    x, y = node.tensor("self", dtype), node.tensor("other", dtype)
    return float_remainder(node, x, y) if is_float(dtype) else relax.op.floor_mod(x, y)


def fmod(node: Node) -> relax.Expr:
    """Converts a modulus with the dividend's sign."""
    dtype = node.output.dtype
    x, y = node.tensor("self", dtype), node.tensor("other", dtype)
    quotient = relax.op.divide(x, y)
    quotient = relax.op.trunc(quotient) if is_float(dtype) else quotient
    return relax.op.subtract(x, relax.op.multiply(quotient, y))


def power(node: Node) -> relax.Expr:
    """Converts a power; small whole exponents become products, exact for negative bases."""
    dtype = node.output.dtype
    exponent = node["exponent"]
    base = node.tensor("self", dtype)
    if isinstance(exponent, int | float) and exponent in (1, 2, 3, 4):
        square = node.emit(relax.op.multiply(base, base))
        products = {1: base, 2: square, 3: relax.op.multiply(square, base)}
        return products.get(int(exponent), relax.op.multiply(square, square))
    if exponent in (0.5, -0.5) and is_float(dtype):
        return relax.op.sqrt(base) if exponent > 0 else relax.op.rsqrt(base)
    return relax.op.power(base, node.tensor("exponent", dtype))


def clamp(node: Node) -> relax.Expr:
    """Converts bounds from below, above or both, which may be tensors."""
    dtype = node.output.dtype
    value = node.tensor("self", dtype)
    for name, op in (("min", relax.op.maximum), ("max", relax.op.minimum)):
        bound = node.get(name)
        if bound is not None and not (isinstance(bound, float) and math.isinf(bound)):
            value = op(value, node.as_tensor(_within(bound, dtype), dtype))
    return value


def _within(bound: Any, dtype: str) -> Any:
    """Returns a bound that the type can hold: numbers beyond it bound nothing."""
    if not isinstance(bound, int) or is_float(dtype) or dtype == "bool":
        return bound
    bits = int("".join(filter(str.isdigit, dtype)))
    low, high = (
        (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    return min(max(bound, low), high)


def logarithm(base: float) -> Converter:
    """Makes a converter of a logarithm of some base."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        log = relax.op.log(node.tensor("self", dtype))
        return relax.op.multiply(log, node.as_tensor(1 / math.log(base), dtype))

    return convert


def reciprocal(node: Node) -> relax.Expr:
    """Converts one over a number."""
    dtype = node.output.dtype
    return relax.op.divide(node.as_tensor(1, dtype), node.tensor("self", dtype))


def sign(node: Node) -> relax.Expr:
    """Converts the sign, which is a number's type of -1, 0 or 1."""
    value = node.tensor("self")
    dtype = str(value.ty.dtype)
    zero = node.as_tensor(0, dtype)
    if dtype == "bool":
        return value
    above, below = (
        relax.op.astype(op(value, zero), dtype) for op in (relax.op.greater, relax.op.less)
    )
    signs = relax.op.subtract(above, below)
    return relax.op.where(relax.op.isnan(value), zero, signs) if is_float(dtype) else signs


def absolute(node: Node) -> relax.Expr:
    """Converts a magnitude, of complex numbers too."""
    value = node["self"]
    if isinstance(value, Complex):
        squares = [relax.op.multiply(part, part) for part in (value.real, value.imaginary)]
        return relax.op.sqrt(relax.op.add(*squares))
    return relax.op.abs(node.as_tensor(value))


def signbit(node: Node) -> relax.Expr:
    """Converts the test for a negative number, which negative zero is, too."""
    x = node.tensor("self")
    dtype = str(x.ty.dtype)
    zero = node.as_tensor(0, dtype)
    if not is_float(dtype):
        return relax.op.less(x, zero)
    below = relax.op.less(relax.op.divide(node.as_tensor(1, dtype), x), zero)
    return relax.op.logical_or(
        relax.op.less(x, zero), relax.op.logical_and(relax.op.equal(x, zero), below)
    )


CONVERTERS: dict[str, Converter] = {
    **both({"add": scaled(relax.op.add), "sub": scaled(relax.op.subtract)}, OVERLOADS),
    **both({"div": divide}, (*OVERLOADS, "Tensor_mode", "Scalar_mode")),
    **both({"remainder": remainder, "fmod": fmod, "pow": power}, OVERLOADS),
    "aten.pow.Scalar": binary(relax.op.power, "self", "exponent"),
    **both({"clamp": clamp}, ("default", "Tensor")),
    "aten.clamp_min.default": clamp,
    "aten.clamp_max.default": clamp,
    "aten.abs.default": absolute,
    "aten.sign.default": sign,
    "aten.signbit.default": signbit,
    "aten.log2.default": logarithm(2),
    "aten.log10.default": logarithm(10),
    "aten.reciprocal.default": reciprocal,
}
