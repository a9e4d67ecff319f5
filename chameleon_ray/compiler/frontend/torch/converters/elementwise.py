"""Operators on one element of each argument, in the types that torch computes in."""

import math
from collections.abc import Callable
from typing import Any

from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Complex, Converter, Node

Op = Callable[..., relax.Expr]


def unary(op: Op) -> Converter:
    """Makes a converter of an operator whose argument is cast to the type of its output."""
    return lambda node: op(node.tensor("self", node.output.dtype))


def tested(op: Op) -> Converter:
    """Makes a converter of an operator of one argument whose output is a boolean."""
    return lambda node: op(node.tensor("self"))


def binary(op: Op, left: str = "self", right: str = "other") -> Converter:
    """Makes a converter of an operator that computes in the type of its output."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        return op(node.tensor(left, dtype), node.tensor(right, dtype))

    return convert


def compared(op: Op) -> Converter:
    """Makes a converter of a comparison, which computes in the common type of its arguments."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.input_type("self", "other")
        return op(node.tensor("self", dtype), node.tensor("other", dtype))

    return convert


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


def logical(op: Op) -> Converter:
    """Makes a converter of an operator on truth values."""
    return lambda node: op(_truth(node, "self"), _truth(node, "other"))


def _truth(node: Node, name: str) -> relax.Expr:
    value = node.tensor(name)
    dtype = str(value.ty.dtype)
    return value if dtype == "bool" else relax.op.not_equal(value, node.as_tensor(0, dtype))


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
    """Converts a power; small whole exponents become products, which are exact for negative bases."""
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
    low, high = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return min(max(bound, low), high)


def where(node: Node) -> relax.Expr:
    """Converts a choice by truth value."""
    dtype = node.output.dtype
    truth = node.cast(node.tensor("condition"), "bool")
    return relax.op.where(truth, node.tensor("self", dtype), node.tensor("other", dtype))


def cast(node: Node) -> Any:
    """Converts a change of type; numbers become booleans by being zero or not."""
    if isinstance(node["self"], Complex):
        return node["self"]
    value, dtype = node.tensor("self"), node.output.dtype
    before = str(value.ty.dtype)
    if dtype == "bool" and before != "bool":
        return relax.op.not_equal(value, node.as_tensor(0, before))
    if dtype == "uint8" and is_float(before):
        value = relax.op.astype(value, "int64")  # negative ones wrap around
    return relax.op.astype(value, dtype)


def copied(node: Node) -> Any:
    """Converts an operator that returns what it is given."""
    return node[next(iter(node.arguments))]


def is_float(dtype: str) -> bool:
    """Whether a type is one of floating-point numbers."""
    return "float" in dtype


def absolute(node: Node) -> relax.Expr:
    """Converts a magnitude, of complex numbers too."""
    value = node["self"]
    if isinstance(value, Complex):
        squares = [relax.op.multiply(part, part) for part in (value.real, value.imaginary)]
        return relax.op.sqrt(relax.op.add(*squares))
    return relax.op.abs(node.tensor("self"))


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


def bitwise_not(node: Node) -> relax.Expr:
    """Converts the complement of bits or of a truth value."""
    value = node.tensor("self")
    return relax.op.logical_not(value) if str(value.ty.dtype) == "bool" else relax.op.bitwise_not(value)


def bits(op: Op, truth: Op) -> Converter:
    """Makes a converter of an operator on bits, which is another one for truth values."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        chosen = truth if dtype == "bool" else op
        return chosen(node.tensor("self", dtype), node.tensor("other", dtype))

    return convert


def shifted(op: Op) -> Converter:
    """Makes a converter of a shift of bits."""
    return binary(op)


_UNARY: dict[str, Op] = {
    **{
        name: getattr(relax.op, name)
        for name in (
            *("acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf"),
            *("exp", "floor", "log", "rsqrt", "sigmoid", "sin", "sinh", "sqrt", "tan", "tanh"),
            *("trunc", "round"),
        )
    },
    "neg": relax.op.negative,
    "square": relax.op.square,
}
_COMPARED: dict[str, Op] = {
    "eq": relax.op.equal,
    "ne": relax.op.not_equal,
    "lt": relax.op.less,
    "le": relax.op.less_equal,
    "gt": relax.op.greater,
    "ge": relax.op.greater_equal,
}
_BINARY: dict[str, Op] = {
    "mul": relax.op.multiply,
    "maximum": relax.op.maximum,
    "minimum": relax.op.minimum,
    "atan2": relax.op.atan2,
    "bitwise_left_shift": relax.op.left_shift,
    "bitwise_right_shift": relax.op.right_shift,
}
_BITS: dict[str, tuple[Op, Op]] = {
    "bitwise_and": (relax.op.bitwise_and, relax.op.logical_and),
    "bitwise_or": (relax.op.bitwise_or, relax.op.logical_or),
    "bitwise_xor": (relax.op.bitwise_xor, relax.op.logical_xor),
}
_LOGICAL: dict[str, Op] = {
    "logical_and": relax.op.logical_and,
    "logical_or": relax.op.logical_or,
    "logical_xor": relax.op.logical_xor,
}


def logical_not(node: Node) -> relax.Expr:
    """Converts the opposite of a truth value."""
    return relax.op.logical_not(_truth(node, "self"))


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


def both(names: dict[str, Converter], overloads: tuple[str, ...]) -> dict[str, Converter]:
    """Enters converters under every overload of their operators."""
    return {f"aten.{name}.{one}": how for name, how in names.items() for one in overloads}


OVERLOADS = ("Tensor", "Scalar", "default", "Tensor_Scalar", "Tensor_Tensor", "Scalar_Tensor")

CONVERTERS: dict[str, Converter] = {
    **both({name: unary(op) for name, op in _UNARY.items()}, ("default",)),
    **both({"isnan": tested(relax.op.isnan), "isinf": tested(relax.op.isinf)}, ("default",)),
    **both({name: compared(op) for name, op in _COMPARED.items()}, OVERLOADS),
    **both({name: binary(op) for name, op in _BINARY.items()}, OVERLOADS),
    **both({name: bits(*ops) for name, ops in _BITS.items()}, OVERLOADS),
    **both({name: logical(op) for name, op in _LOGICAL.items()}, ("default",)),
    **both({"add": scaled(relax.op.add), "sub": scaled(relax.op.subtract)}, OVERLOADS),
    **both({"div": divide}, (*OVERLOADS, "Tensor_mode", "Scalar_mode")),
    **both({"remainder": remainder, "fmod": fmod, "pow": power}, OVERLOADS),
    "aten.pow.Scalar": binary(relax.op.power, "self", "exponent"),
    **both({"clamp": clamp}, ("default", "Tensor")),
    "aten.clamp_min.default": clamp,
    "aten.clamp_max.default": clamp,
    "aten.where.self": where,
    "aten._to_copy.default": cast,
    "prims.convert_element_type.default": cast,
    **both({name: copied for name in ("alias", "clone", "detach", "lift_fresh_copy")}, ("default",)),
    "aten.abs.default": absolute,
    "aten.sign.default": sign,
    "aten.bitwise_not.default": bitwise_not,
    "aten.logical_not.default": logical_not,
    "aten.log2.default": logarithm(2),
    "aten.log10.default": logarithm(10),
    "aten.reciprocal.default": reciprocal,
}
