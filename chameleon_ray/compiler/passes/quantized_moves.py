"""Operators that only move or compare elements, and so can be done to quantised integers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tvm import relax
from tvm.ir import Call

from chameleon_ray.compiler.passes.quantization import Quantization
from chameleon_ray.compiler.relax import constant, operator

Move = Callable[[Call, Sequence[relax.Expr], Quantization], relax.Expr | None]
"""Does an operator to integers in place of floats; None where it cannot."""


def _same(call: Call, parts: Sequence[relax.Expr], how: Quantization) -> relax.Expr:
    return Call(call.op, [parts[0], *call.args[1:]], call.attrs)


def _concat(call: Call, parts: Sequence[relax.Expr], how: Quantization) -> relax.Expr:
    return Call(call.op, [relax.Tuple(list(parts))], call.attrs)


def _relu(call: Call, parts: Sequence[relax.Expr], how: Quantization) -> relax.Expr:
    return relax.op.maximum(parts[0], constant(how.zero, how.dtype))


def _pad(call: Call, parts: Sequence[relax.Expr], how: Quantization) -> relax.Expr | None:
    """Pads with the integer that stands for 0; other values may lie between two integers."""
    attrs = call.attrs
    if str(attrs.pad_mode) != "constant" or float(attrs.pad_value):
        return None
    return relax.op.nn.pad(parts[0], list(attrs.pad_width), int(how.zero), "constant")


MOVES: dict[str, Move] = {
    **{f"relax.nn.max_pool{rank}d": _same for rank in (1, 2, 3)},
    **{f"relax.{name}": _same for name in ("reshape", "permute_dims", "flatten", "squeeze")},
    **{f"relax.{name}": _same for name in ("expand_dims", "broadcast_to", "strided_slice")},
    **{f"relax.{name}": _same for name in ("repeat", "tile", "flip", "take")},
    "relax.nn.relu": _relu,
    "relax.nn.pad": _pad,
    "relax.concat": _concat,
}
"""The operators, by name."""


def operands(value: Any, bound: Mapping[relax.Var, relax.Expr]) -> list[relax.Expr]:
    """Returns the tensors that an operator moves; empty for others.

    Args:
        value: A call, or anything else.
        bound: Values of variables, among which tuples are looked up.
    """
    name = operator(value)
    if name not in MOVES:
        return []
    first = value.args[0]
    if name != "relax.concat":
        return [first]
    first = bound.get(first, first) if isinstance(first, relax.Var) else first
    return list(first.fields) if isinstance(first, relax.Tuple) else []


def moved(call: Call, parts: Sequence[relax.Expr], how: Quantization) -> relax.Expr | None:
    """Does an operator to the integers of its operands, which all have one scale."""
    return MOVES[operator(call)](call, parts, how)
