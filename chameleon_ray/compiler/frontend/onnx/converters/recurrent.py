"""LSTM, GRU and RNN, in all the forms that ONNX has; their steps are unrolled.

The input of all steps is multiplied at once. The loop nests of a direction's steps are equal, so
that they are tuned once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import GenericConst

from chameleon_ray.compiler.frontend.onnx.converters.recurrent_activations import activations
from chameleon_ray.compiler.frontend.onnx.converters.recurrent_cells import (
    Direction,
    States,
    gru,
    lstm,
    rnn,
)
from chameleon_ray.compiler.frontend.onnx.converters.stacking import stacked
from chameleon_ray.compiler.frontend.onnx.extents import columns, element, extents, transposed
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


@dataclass(frozen=True)
class Cell:
    """A kind of recurrent layer.

    Attributes:
        step: Computes the states after a step.
        gates: How many gates it has.
        states: How many states it has.
        activations: Names of its usual activation functions.
    """

    step: Callable[[Direction, relax.Expr, States, Callable[..., list[relax.Expr]]], States]
    gates: int
    states: int
    activations: tuple[str, ...]


LSTM = Cell(lstm, 4, 2, ("Sigmoid", "Tanh", "Tanh"))
GRU = Cell(gru, 3, 1, ("Sigmoid", "Tanh"))
RNN = Cell(rnn, 1, 1, ("Tanh",))


Rounded = Callable[[Node, relax.Expr], relax.Expr]
"""Rounds a tensor of floats."""


class _Steps:
    """Calls loop nests that are made once for all steps of a direction."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._made: dict[str, Any] = {}

    def __call__(self, loops: Callable[..., Any], *tensors: relax.Expr) -> list[relax.Expr]:
        args = [_known(self._node, tensor) for tensor in tensors]
        name = loops.__name__
        if name not in self._made:
            self._made[name] = self._node.builder.call_te(loops, *args)
        made = self._made[name]
        (whole,) = made.ty_args
        if not isinstance(whole, relax.TupleType):
            return [self._node.emit(relax.call_tir(made.args[0], args, whole))]
        result = self._node.emit(relax.call_tir(made.args[0], args, list(whole.fields)))
        places = range(len(whole.fields))
        return [self._node.emit(relax.TupleGetItem(result, place)) for place in places]


def _converter(cell: Cell) -> Converter:
    def convert(node: Node) -> list[relax.Expr]:
        return layer(node, cell)

    return convert


def layer(node: Node, cell: Cell, rounded: Rounded | None = None) -> list[relax.Expr]:
    """Converts a layer; its outputs are those of all steps, the last one, and the last cell.

    Args:
        node: The layer's node.
        cell: Its kind.
        rounded: Rounds the state that a step multiplies by its weights; an LSTM uses it for nothing
            else.
    """
    names = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    direction = node.attributes.get("direction", "forward")
    batch_first = bool(node.attributes.get("layout", 0))
    data = node.input(0)
    if batch_first:
        data = node.emit(relax.op.permute_dims(data, [1, 0, 2]))
    results = [
        _direction(node, cell, data, number, backwards, batch_first, rounded)
        for number, backwards in enumerate(names[direction])
    ]
    every = node.emit(relax.op.stack([outputs for outputs, _ in results], 1))
    last = [
        node.emit(relax.op.stack([states[place] for _, states in results], 0))
        for place in range(cell.states)
    ]
    if batch_first:
        every = relax.op.permute_dims(every, [2, 0, 1, 3])
        last = [relax.op.permute_dims(states, [1, 0, 2]) for states in last]
    return [every, *last]


def _direction(
    node: Node,
    cell: Cell,
    data: relax.Expr,
    number: int,
    backwards: bool,
    batch_first: bool,
    rounded: Rounded | None,
) -> tuple[relax.Expr, States]:
    """Returns the outputs of all steps, ``(T, B, H)``, and the last states, of one direction."""
    one = _described(node, cell, data, number)
    steps, _, _ = extents(data)
    states = _first_states(node, cell, one, number, batch_first)
    lengths, call = node.optional(4), _Steps(node)
    outputs = [None] * steps
    for step in reversed(range(steps)) if backwards else range(steps):
        place = constant(np.array([step]), "int64")
        seen = [rounded(node, states[0]), *states[1:]] if rounded else states
        new = cell.step(one, place, seen, call)
        output = new[0]
        if lengths is not None:
            output, *new = call(_until_the_end, place, lengths, *new, *states)
        states, outputs[step] = new, output
    return stacked(node, outputs), states


def _until_the_end(place: Any, lengths: Any, *states: Any) -> list[Any]:
    """Keeps the states of sequences that are over; their output is zero."""
    new, old = states[: len(states) // 2], states[len(states) // 2 :]

    def chosen(one: Any, other: Any) -> Any:
        return te.compute(
            one.shape,
            lambda b, h: tirx.Select(
                place[0] < tirx.Cast("int64", lengths[b]),
                one[b, h],
                tirx.const(0, one.dtype) if other is None else other[b, h],
            ),
        )

    return [chosen(new[0], None), *map(chosen, new, old)]


def _described(node: Node, cell: Cell, data: relax.Expr, number: int) -> Direction:
    """Collects what a direction computes, and multiplies its weights by the whole input."""
    given = node.attributes
    weights, recurrent = (_matrix(node, place, number) for place in (1, 2))
    width = extents(recurrent)[0]
    gates, own = relax.op.matmul(data, weights), None
    if node.optional(3) is not None:
        bias, count = _known(node, element(node.input(3), number)), cell.gates * width
        outer, own = columns(bias, 0, count), columns(bias, count, 2 * count)
        gates = relax.op.add(gates, outer)
        gates = relax.op.add(
            gates, _first(own, 2 * width) if given.get("linear_before_reset") else own
        )
    peepholes, count = node.optional(7), len(cell.activations)
    functions = activations(
        given.get("activations") or 2 * cell.activations,
        given.get("activation_alpha", []),
        given.get("activation_beta", []),
    )
    if peepholes is not None:
        peepholes = node.emit(
            relax.op.reshape(_known(node, element(peepholes, number)), (3, width))
        )
    return Direction(
        gates=node.emit(gates),
        recurrent=recurrent,
        bias=None if own is None else _known(node, own),
        peepholes=peepholes,
        activations=functions[number * count : (number + 1) * count],
        clip=given.get("clip"),
        coupled=bool(given.get("input_forget", 0)),
        reset_last=bool(given.get("linear_before_reset", 0)),
    )


def _matrix(node: Node, place: int, number: int) -> relax.Expr:
    """Returns a direction's weights, a column per gate."""
    weights = element(node.input(place), number)
    return _known(
        node, transposed(weights if isinstance(weights, GenericConst) else node.emit(weights))
    )


def _known(node: Node, value: relax.Expr) -> relax.Expr:
    """Binds a value that is computed at run time to a variable."""
    return value if isinstance(value, GenericConst) else node.emit(value)


def _first(bias: relax.Expr, count: int) -> relax.Expr:
    """Sets all but the first numbers of a bias to zero."""
    dtype = str(bias.ty.dtype)
    rest = constant(np.zeros(count // 2), dtype)
    return relax.op.concat([columns(bias, 0, count), rest], 0)


def _first_states(
    node: Node, cell: Cell, one: Direction, number: int, batch_first: bool
) -> list[relax.Expr]:
    """Returns the states before the first step: those given, or zero."""
    _, batch, count = extents(one.gates)
    width = count // cell.gates
    states = []
    for place in (5, 6)[: cell.states]:
        given = node.optional(place)
        if given is None:
            states.append(constant(np.zeros((batch, width)), str(one.gates.ty.dtype)))
            continue
        given = node.emit(relax.op.permute_dims(given, [1, 0, 2])) if batch_first else given
        states.append(_known(node, element(given, number)))
    return states


CONVERTERS: dict[Key, Converter] = {
    ("", "LSTM"): _converter(LSTM),
    ("", "GRU"): _converter(GRU),
    ("", "RNN"): _converter(RNN),
}
