"""Recognises what a layer does to its sums: a bias, a residual, and an activation.

The blocks after a reduction are evaluated with symbols for the sums and for what is added to them.
How TVM writes an activation does not matter: it is told by its values.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tvm
from tvm.ir.expr import TensorLoad

Function = Callable[[np.ndarray], np.ndarray]
_erf = np.vectorize(math.erf)
_FAR = np.logspace(1.0, 6.0, 16)
_POINTS = np.concatenate([np.linspace(-6.0, 6.0, 97), -_FAR, _FAR])
"""Where activations are compared; far points tell one that is cut off, as ReLU6, from the whole."""

ACTIVATIONS: dict[str, Function] = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "relu6": lambda x: np.clip(x, 0, 6),
}
"""Activations in the order of their numbers in the vendor's functions (``vendor/glue.h``)."""
UNARY: dict[str, Function] = {
    "erf": _erf,
    "tanh": np.tanh,
    "exp": np.exp,
    "sigmoid": ACTIVATIONS["sigmoid"],
}
BINARY: dict[type, Callable[[Any, Any], Any]] = {
    tvm.tirx.Add: np.add,
    tvm.tirx.Sub: np.subtract,
    tvm.tirx.Mul: np.multiply,
    tvm.tirx.Div: np.divide,
    tvm.tirx.Max: np.maximum,
    tvm.tirx.Min: np.minimum,
}


class Unknown(Exception):
    """An epilogue of another form."""


@dataclass(frozen=True)
class Operand:
    """A parameter that is read at the place of each sum.

    Attributes:
        parameter: Number of the parameter.
        bias: Whether it has one element per channel.
        residual: Whether it has one element per sum.
    """

    parameter: int
    bias: bool
    residual: bool


@dataclass(frozen=True)
class Epilogue:
    """What becomes of a layer's sums: ``activation(scale * sum + bias + residual)``.

    Attributes:
        bias: Number of the bias's parameter; None where there is none.
        residual: Number of the residual's parameter; None where there is none.
        activation: A key of ``ACTIVATIONS``.
        scale: Factor of the sums, which is 1 where anything is added to them.
    """

    bias: int | None = None
    residual: int | None = None
    activation: str = "none"
    scale: float = 1.0

    def plus(self, operand: Operand) -> "Epilogue":
        """Adds an operand to the sums.

        Raises:
            Unknown: It is neither a bias nor a residual, or there is such a one already.
        """
        if operand.bias and self.bias is None:
            return replace(self, bias=operand.parameter)
        if operand.residual and self.residual is None:
            return replace(self, residual=operand.parameter)
        raise Unknown


@dataclass(frozen=True)
class Curve:
    """A function of the sums, once all is added that is added to them."""

    sums: Epilogue
    function: Function


Value = Epilogue | Curve | Operand | float


def epilogue_of(
    blocks: Sequence[Any], sums: Any, parameters: Sequence[Any], channels: int
) -> Epilogue:
    """Recognises the epilogue of a layer.

    Args:
        blocks: The blocks besides the reduction and what prepares its operands, in order.
        sums: Buffer that the reduction writes.
        parameters: Buffers of the layer's parameters.
        channels: Axis of the channels.

    Raises:
        Unknown: The epilogue is of another form.
    """
    reading = _Reading([(sums, Epilogue())], parameters, [int(n) for n in sums.shape], channels)
    value: Value = Epilogue()
    for block in blocks:
        value = reading.block(block)
        reading.known.append((block.body.buffer, value))
    if isinstance(value, Epilogue):
        return value
    if not isinstance(value, Curve):
        raise Unknown
    with np.errstate(all="ignore"):
        found = value.function(_POINTS)
        for name, activation in ACTIVATIONS.items():
            if np.allclose(found, activation(_POINTS), rtol=1e-6, atol=1e-7):
                return replace(value.sums, activation=name)
    scale = float(found[-1] / _POINTS[-1])
    if value.sums != Epilogue() or not np.allclose(found, scale * _POINTS, rtol=1e-6, atol=1e-7):
        raise Unknown
    return Epilogue(scale=scale)


@dataclass
class _Reading:
    """Evaluates expressions of elementwise blocks.

    Attributes:
        known: Buffers written so far, and their elements.
        parameters: Buffers of the layer's parameters.
        extents: Extents of the sums.
        channels: Axis of the channels.
    """

    known: list[tuple[Any, Value]]
    parameters: Sequence[Any]
    extents: Sequence[int]
    channels: int

    def block(self, block: Any) -> Value:
        """Evaluates one block, whose elements are the sums' or a parameter's."""
        axes, store = [i.var for i in block.iter_vars], block.body
        if len(axes) != len(store.indices) or not all(
            index.same_as(axis) for index, axis in zip(store.indices, axes, strict=True)
        ):
            raise Unknown
        value = self.value(store.value, axes)
        extents = [int(i.dom.extent) for i in block.iter_vars]
        whole = is_copy(block) if isinstance(value, Operand) else extents == list(self.extents)
        if not whole:
            raise Unknown
        return value

    def value(self, node: Any, axes: Sequence[Any]) -> Value:
        """Evaluates one expression of a block with these axes."""
        if isinstance(node, tvm.tirx.FloatImm | tvm.tirx.IntImm):
            return float(node.value)
        if isinstance(node, tvm.tirx.Cast):
            if not str(node.ty.dtype).startswith(("float", "bfloat")):
                raise Unknown
            return self.value(node.value, axes)
        if isinstance(node, TensorLoad):
            return self._loaded(node, axes)
        if isinstance(node, tvm.ir.Call) and called(node) in UNARY:
            return _applied(UNARY[called(node)], self.value(node.args[0], axes))
        operation = BINARY.get(type(node))
        if operation is None:
            raise Unknown
        return _combined(operation, self.value(node.a, axes), self.value(node.b, axes))

    def _loaded(self, load: Any, axes: Sequence[Any]) -> Value:
        for buffer, value in self.known:
            if buffer.same_as(load.source) and isinstance(value, Operand):
                return Operand(value.parameter, *self._roles(load, axes))
            if buffer.same_as(load.source):
                if not _in_place(load, axes):
                    raise Unknown
                return value
        for number, buffer in enumerate(self.parameters):
            if buffer.same_as(load.source):
                return Operand(number, *self._roles(load, axes))
        raise Unknown

    def _roles(self, load: Any, axes: Sequence[Any]) -> tuple[bool, bool]:
        """Tells whether a load may be of a bias, and whether it may be of a residual."""
        shape, own = [int(n) for n in load.source.shape], list(load.indices)
        wide = [n for n, extent in enumerate(self.extents) if extent > 1]
        read = [n for n, index in enumerate(own) if shape[n] > 1]
        places = [self._axis(own[n], axes) for n in read]
        channel = [n for n in wide if n == self.channels]
        bias = places == channel and [shape[n] for n in read] == [self.extents[n] for n in channel]
        whole = places == wide and [shape[n] for n in read] == [self.extents[n] for n in wide]
        return bias, whole

    @staticmethod
    def _axis(index: Any, axes: Sequence[Any]) -> int:
        return next((n for n, axis in enumerate(axes) if axis.same_as(index)), -1)


def is_copy(block: Any) -> bool:
    """Whether a block passes all of a buffer on, element by element, if in another type."""
    load = uncast(block.body.value)
    axes = [iterator.var for iterator in block.iter_vars]
    if not isinstance(load, TensorLoad) or not _in_place(load, axes):
        return False
    return [int(n) for n in load.source.shape] == [int(n) for n in block.body.buffer.shape]


def uncast(node: Any) -> Any:
    """Returns what an expression converts to another type, or the expression itself."""
    return node.value if isinstance(node, tvm.tirx.Cast) else node


def _in_place(load: Any, axes: Sequence[Any]) -> bool:
    """Whether a load is of the element at a block's own place."""
    if len(load.indices) != len(axes):
        return False
    places = zip(load.indices, axes, load.source.shape, strict=True)
    return all(index.same_as(axis) or int(extent) == 1 for index, axis, extent in places)


def called(node: Any) -> str:
    """Returns the name of the function that a call is of, without its dialect."""
    return str(node.op.name).rsplit(".", 1)[-1]


def _applied(function: Function, value: Value) -> Value:
    if isinstance(value, Operand):
        raise Unknown
    if isinstance(value, float):
        return float(function(np.array(value)))
    sums, inner = _curve(value)
    return Curve(sums, lambda x: function(inner(x)))


def _combined(operation: Callable[[Any, Any], Any], a: Value, b: Value) -> Value:
    """Applies an operation to two values; only sums take further operands, and by adding."""
    for sums, operand in ((a, b), (b, a)):
        if isinstance(operand, Operand):
            if operation is not np.add or not isinstance(sums, Epilogue):
                raise Unknown
            return sums.plus(operand)
    if isinstance(a, float) and isinstance(b, float):
        return float(operation(a, b))
    if isinstance(a, float):
        sums, right = _curve(b)
        return Curve(sums, lambda x: operation(a, right(x)))
    if isinstance(b, float):
        sums, left = _curve(a)
        return Curve(sums, lambda x: operation(left(x), b))
    (sums, left), (others, right) = _curve(a), _curve(b)
    if sums != others:
        raise Unknown
    return Curve(sums, lambda x: operation(left(x), right(x)))


def _curve(value: Value) -> tuple[Epilogue, Function]:
    assert isinstance(value, Epilogue | Curve)
    return (value.sums, value.function) if isinstance(value, Curve) else (value, lambda x: x)
