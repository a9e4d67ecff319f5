"""Tensors whose extent follows from what the model computes.

A loop nest fills a tensor that is large enough, and counts how much of it counts; the rest is cut
off. No function outside of the library is needed.
"""

from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from chameleon_ray.compiler.frontend.onnx.converters.sequential import run
from chameleon_ray.compiler.frontend.onnx.node import Node


def first(node: Node, data: relax.Expr, count: relax.Expr) -> relax.Expr:
    """Returns the first elements of a tensor's first axis.

    Args:
        node: The node that is converted.
        data: The tensor.
        count: How many elements are wanted, ``(1,)``, of ``int64``.
    """
    (extent,) = learnt(node, count)

    def cut(data: Any) -> Any:
        return te.compute((extent, *data.shape[1:]), lambda *place: data(*place), "cut")

    return node.emit(node.builder.call_te(cut, data))


def learnt(node: Node, extents: relax.Expr) -> list[Any]:
    """Returns the extents that a vector has at run time, as variables.

    Args:
        node: The node that is converted.
        extents: The vector, of ``int64``, whose length is known.
    """
    shape = node.emit(relax.op.tensor_to_shape(extents))
    variables = [tirx.Var("extent", "int64") for _ in range(int(extents.ty.shape[0]))]
    node.builder.match_cast(shape, relax.ShapeType(variables))
    return variables


def extent_of(node: Node, place: int, declared: int | None) -> Any:
    """Returns an extent that an input has.

    It is a number where the input is constant, or where the graph declares the output's shape;
    otherwise a variable.

    Args:
        node: The node that is converted.
        place: Place of the input, a single number.
        declared: Extent of the output that the graph declares, or None.
    """
    known = node.known(place)
    if known is not None:
        return int(known.item())
    if declared is not None:
        return declared
    number = node.emit(relax.op.astype(relax.op.reshape(node.input(place), (1,)), "int64"))
    return learnt(node, number)[0]


def flat(node: Node, data: relax.Expr) -> relax.Expr:
    """Returns a tensor's elements in one axis."""
    return node.emit(relax.op.reshape(data, (-1,)))


def places_of(node: Node, chosen: relax.Expr) -> relax.Expr:
    """Returns the places, ``int64``, of all elements of a vector that are not zero."""
    size = chosen.ty.shape[0]

    def write(chosen: Any, places: Any, count: Any) -> None:
        count[0] = T.int64(0)
        with T.serial(0, size) as i, T.If(chosen[i] != 0), T.Then():
            places[count[0]] = tirx.Cast("int64", i)
            count[0] = count[0] + T.int64(1)

    outputs = [((size,), "int64"), ((1,), "int64")]
    return first(node, *run(node, "places", write, [chosen], outputs))
