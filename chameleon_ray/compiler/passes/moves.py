"""Follows values that only move through a model: reshaped, transposed, cut, repeated, or scaled.

What such operators make of a tensor is told by an array: for each element of the result, the place
of the element of the source. Chains of any length come to one array.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.relax import bindings_of, clean, is_static, operator, rewrite

LARGEST = 1 << 23
"""Most elements of a value that is followed."""


@dataclass(frozen=True)
class Moved:
    """A value that has elements of another one, all times a number.

    Attributes:
        source: The other value.
        places: For each element, the place in the source, counted in the order of its last axis.
        factor: The number.
    """

    source: relax.Expr
    places: np.ndarray
    factor: float = 1.0


class Moves:
    """Values of a module that are moved from other ones."""

    def __init__(self, mod: IRModule) -> None:
        self._values = {binding.var: binding.value for binding in bindings_of(mod)}
        self._known: dict[relax.Expr, Moved] = {}

    def value(self, expression: relax.Expr) -> Any:
        """Returns what a variable is bound to; None for an input, and for what is no variable."""
        return self._values.get(expression)

    def of(self, expression: relax.Expr) -> Moved:
        """Returns the first value that an expression's elements are of, and their places in it."""
        if expression not in self._known:
            self._known[expression] = self._followed(expression)
        return self._known[expression]

    def _followed(self, expression: relax.Expr) -> Moved:
        call = self.value(expression)
        name = operator(call)
        if name in MOVES and _is_short(expression) and _is_short(call.args[0]):
            places = MOVES[name](self.of(call.args[0]).places, call, _shape(expression))
            if places is not None:
                return replace(self.of(call.args[0]), places=places)
        if name in SCALING and (number := _number(call.args[1])) and _is_short(expression):
            before = self.of(call.args[0])
            factor = number if name == "relax.multiply" else 1.0 / number
            return replace(before, factor=before.factor * factor)
        return Moved(expression, np.arange(prod(_shape(expression))).reshape(_shape(expression)))


def without_idle_moves(mod: IRModule) -> IRModule:
    """Makes reshapes of chains of moves that leave all elements in their order.

    Args:
        mod: In dataflow form.
    """
    moves = Moves(mod)

    def joined(binding: relax.Binding) -> relax.Expr:
        call = binding.value
        if operator(call) not in MOVES or not _is_short(binding.var):
            return call
        if not all(_is_short(arg) for arg in call.args[:1]):
            return call
        moved = moves.of(binding.var)
        source, size = moved.source, moved.places.size
        if moved.factor != 1.0 or source.same_as(binding.var) or size != prod(_shape(source)):
            return call
        if not np.array_equal(moved.places.ravel(), np.arange(size)):
            return call
        return relax.op.reshape(source, binding.var.ty.shape)

    return clean(rewrite(mod, joined))


Move = Callable[[np.ndarray, Call, tuple[int, ...]], np.ndarray | None]
"""Moves places as a call moves elements, given the shape of its result; None where it cannot."""


def _permuted(places: np.ndarray, call: Call, shape: tuple[int, ...]) -> np.ndarray:
    axes = call.attrs.axes
    return places.transpose(None if axes is None else [int(axis) for axis in axes])


def _reshaped(places: np.ndarray, call: Call, shape: tuple[int, ...]) -> np.ndarray:
    return places.reshape(shape)


def _repeated(places: np.ndarray, call: Call, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(places, shape)


def _cut(places: np.ndarray, call: Call, shape: tuple[int, ...]) -> np.ndarray | None:
    fields = [[_integer(one) for one in arg.fields] for arg in call.args[1:]]
    if len(fields) < 4 or any(number is None for numbers in fields for number in numbers):
        return None
    cut = [slice(None)] * places.ndim
    for axis, begin, end, step in zip(*fields, strict=True):
        if min(begin, end) < 0 or step < 1:
            return None
        cut[axis] = slice(begin, end, step)
    found = places[tuple(cut)]
    return found if found.shape == shape else None


def _integer(value: Any) -> Any:
    value = getattr(value, "value", value)
    return int(value) if isinstance(value, int) else None


MOVES: dict[str, Move] = {
    "relax.permute_dims": _permuted,
    "relax.broadcast_to": _repeated,
    "relax.strided_slice": _cut,
    **{f"relax.{name}": _reshaped for name in ("reshape", "squeeze", "expand_dims", "flatten")},
}
SCALING = ("relax.multiply", "relax.divide")
"""Operators that scale, where the second operand is a number."""


def _number(value: relax.Expr) -> float:
    """Returns a constant of one element; 0 for anything else."""
    single = isinstance(value, GenericConst) and value.value.numpy().size == 1
    return float(value.value.numpy().reshape(-1)[0]) if single else 0.0


def _is_short(value: relax.Expr) -> bool:
    """Whether a value is a tensor of known shape that is not too long to be followed."""
    ty = getattr(value, "ty", None)
    is_tensor = isinstance(ty, relax.TensorType) and is_static(ty)
    return is_tensor and 0 < prod(_shape(value)) <= LARGEST


def _shape(value: relax.Expr) -> tuple[int, ...]:
    return tuple(int(size) for size in value.ty.shape)
