"""Sequences of tensors that are taken apart while importing; there are none in the library."""

from collections.abc import Callable, Sequence

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.extents import axis_of, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant

Items = list[relax.Expr]


def items(value: relax.Expr) -> Items:
    """Returns the tensors of a sequence.

    Raises:
        Untranslatable: The value is none.
    """
    if isinstance(value, relax.Tuple):
        return list(value.fields)
    if isinstance(value.ty, relax.TupleType):
        return [relax.TupleGetItem(value, place) for place in range(len(value.ty.fields))]
    raise Untranslatable("its input is no sequence of tensors; correct the model")


def _sequence(change: Callable[[Node], Items]) -> Converter:
    def convert(node: Node) -> list[relax.Expr]:
        return [relax.Tuple([node.emit(item) for item in change(node)])]

    return convert


def _place(node: Node, number: int, count: int, last: int) -> int:
    """Returns the place in a sequence that an input says.

    Args:
        node: The node.
        number: Number of the input.
        count: Length of the sequence, from which negative places count.
        last: The last place allowed, which is meant where the input is left out.
    """
    place = last
    if node.optional(number) is not None:
        place = int(node.constant(number, "places in sequences").item())
    place = place + count if place < 0 else place
    if not 0 <= place <= last:
        raise Untranslatable(f"its sequence of {count} has no such place; correct the model")
    return place


def _inserted(node: Node) -> Items:
    found = items(node.input(0))
    found.insert(_place(node, 2, len(found), len(found)), node.input(1))
    return found


def _erased(node: Node) -> Items:
    found = items(node.input(0))
    del found[_place(node, 1, len(found), len(found) - 1)]
    return found


def _constructed(node: Node) -> Items:
    return [node.input(place) for place in range(len(node.inputs))]


def _taken_apart(node: Node) -> Items:
    """Splits a tensor along an axis into parts of the sizes given, or of one."""
    data = node.input(0)
    axis = axis_of(node.attributes.get("axis", 0), rank(data))
    size = extents(data)[axis]
    sizes, keeps = [1] * size, bool(node.attributes.get("keepdims", 1))
    if node.optional(1) is not None:
        given, keeps = node.constant(1, "sizes"), True
        if given.ndim:
            sizes = [int(one) for one in given]
        else:
            most = int(given.item())
            sizes = [min(most, size - start) for start in range(0, size, most)]
    parts, start = [], 0
    for one in sizes:
        part = relax.op.strided_slice(data, [axis], [start], [start + one])
        parts.append(part if keeps else relax.op.squeeze(part, [axis]))
        start += one
    return parts


def sequence_at(node: Node) -> relax.Expr:
    """Converts SequenceAt, whose place must be known."""
    found = items(node.input(0))
    return found[_place(node, 1, len(found), len(found) - 1)]


def sequence_length(node: Node) -> relax.Expr:
    """Converts SequenceLength, which is known."""
    return constant(np.array(len(items(node.input(0)))), "int64")


def concat_from_sequence(node: Node) -> relax.Expr:
    """Converts ConcatFromSequence, which joins tensors along an axis they have, or a new one."""
    axis = int(node.attributes["axis"])
    join: Callable[[Sequence[relax.Expr], int], relax.Expr] = (
        relax.op.stack if node.attributes.get("new_axis", 0) else relax.op.concat
    )
    return join([node.emit(item) for item in items(node.input(0))], axis)


CONVERTERS: dict[Key, Converter] = {
    ("", "SequenceConstruct"): _sequence(_constructed),
    ("", "SequenceEmpty"): _sequence(lambda node: []),
    ("", "SequenceInsert"): _sequence(_inserted),
    ("", "SequenceErase"): _sequence(_erased),
    ("", "SplitToSequence"): _sequence(_taken_apart),
    ("", "SequenceAt"): sequence_at,
    ("", "SequenceLength"): sequence_length,
    ("", "ConcatFromSequence"): concat_from_sequence,
}
