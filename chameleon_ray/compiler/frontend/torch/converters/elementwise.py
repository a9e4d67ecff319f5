"""Operators on one element of each argument, in the types that torch computes in."""

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


def logical(op: Op) -> Converter:
    """Makes a converter of an operator on truth values."""
    return lambda node: op(_truth(node, "self"), _truth(node, "other"))


def _truth(node: Node, name: str) -> relax.Expr:
    value = node.tensor(name)
    dtype = str(value.ty.dtype)
    return value if dtype == "bool" else relax.op.not_equal(value, node.as_tensor(0, dtype))


def where(node: Node) -> relax.Expr:
    """Converts a choice by truth value."""
    dtype = node.output.dtype
    truth, one, other = (node.arguments[name] for name in list(node.arguments)[:3])
    chosen = (node.as_tensor(one, dtype), node.as_tensor(other, dtype))
    return relax.op.where(node.as_tensor(truth, "bool"), *chosen)


def cast(node: Node) -> Any:
    """Converts a change of type; numbers become booleans by being zero or not."""
    if isinstance(node.arguments.get("self"), Complex):
        return node["self"]
    value, dtype = node.tensor(next(iter(node.arguments))), node.output.dtype
    before = str(value.ty.dtype)
    if dtype.startswith("complex"):
        real = node.cast(value, {"complex64": "float32"}.get(dtype, "float64"))
        return Complex(real, node.emit(relax.op.zeros_like(real)))
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


def bitwise_not(node: Node) -> relax.Expr:
    """Converts the complement of bits or of a truth value."""
    value = node.tensor("self")
    return (
        relax.op.logical_not(value)
        if str(value.ty.dtype) == "bool"
        else relax.op.bitwise_not(value)
    )


def bits(op: Op, truth: Op) -> Converter:
    """Makes a converter of an operator on bits, which is another one for truth values."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        chosen = truth if dtype == "bool" else op
        return chosen(node.tensor("self", dtype), node.tensor("other", dtype))

    return convert


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
    "aten.where.self": where,
    "prims.where.default": where,
    "aten._to_copy.default": cast,
    "prims.convert_element_type.default": cast,
    **both(
        {name: copied for name in ("alias", "clone", "detach", "lift_fresh_copy")}, ("default",)
    ),
    "aten.bitwise_not.default": bitwise_not,
    "aten.logical_not.default": logical_not,
}
