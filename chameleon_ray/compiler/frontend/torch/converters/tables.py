"""Rows of tables, and places in sorted sequences."""

import math
from collections.abc import Callable, Sequence

import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Converter, Node


def embedding(node: Node) -> relax.Expr:
    """Converts rows of a table."""
    weight, places = node.tensor("weight"), node.tensor("indices", "int64")
    flat = relax.op.take(weight, node.reshape(places, (-1,)), 0)
    return node.reshape(flat, [*node.shape_of(places), *node.shape_of(weight)[1:]])


def embedding_bag(node: Node) -> Sequence[relax.Expr]:
    """Converts rows of a table that are added, averaged or compared within bags."""
    weight, places = node.tensor("weight"), node.tensor("indices", "int64")
    dtype, count = node.output.dtype, node.shape("indices")[0]
    inside = _bags(node, count)
    padding = int(node.get("padding_idx", -1))
    if padding >= 0:
        real = relax.op.not_equal(places, node.as_tensor(padding, "int64"))
        inside = node.emit(relax.op.logical_and(inside, real))
    rows = node.emit(relax.op.take(weight, places, 0))
    if int(node["mode"]) == 2:
        return [_largest(node, inside, rows, dtype)]
    weights = node.cast(inside, dtype)
    given = node.optional("per_sample_weights", dtype)
    scaled = weights if given is None else relax.op.multiply(weights, given)
    total = relax.op.matmul(scaled, rows)
    if int(node["mode"]) == 1:
        counts = relax.op.sum(weights, [1], True)
        total = relax.op.divide(total, relax.op.maximum(counts, node.as_tensor(1, dtype)))
    return [total]


def _bags(node: Node, count: int) -> relax.Expr:
    """Returns which places lie in which bag, of shape (bags, places)."""
    offsets = node.emit(node.reshape(node.tensor("offsets", "int64"), (-1, 1)))
    number = node.shape_of(offsets)[0]
    end = relax.op.full((1, 1), node.as_tensor(count, "int64"), "int64")
    if node.get("include_last_offset", False):
        number -= 1
        ends = relax.op.strided_slice(offsets, [0], [1], [number + 1], [1])
        offsets = relax.op.strided_slice(offsets, [0], [0], [number], [1])
    else:
        ends = relax.op.concat([relax.op.strided_slice(offsets, [0], [1], [number], [1]), end], 0)
    places = node.as_tensor(torch.arange(count).reshape(1, -1))
    after = relax.op.greater_equal(places, offsets)
    return node.emit(relax.op.logical_and(after, relax.op.less(places, ends)))


def _largest(node: Node, inside: relax.Expr, rows: relax.Expr, dtype: str) -> relax.Expr:
    """Returns the largest of the rows in each bag, and zero for empty bags."""
    mask = node.emit(relax.op.expand_dims(inside, 2))
    low = node.as_tensor(-math.inf, dtype)
    found = relax.op.max(relax.op.where(mask, relax.op.expand_dims(rows, 0), low), [1])
    some = relax.op.max(relax.op.astype(mask, "int32"), [1])
    some = relax.op.not_equal(some, node.as_tensor(0, "int32"))
    return relax.op.where(some, found, node.as_tensor(0, dtype))


def bucketize(sequence: str, right: Callable[[Node], bool]) -> Converter:
    """Makes a converter of the place where each number belongs in a sorted sequence.

    That is how many numbers of the sequence come before it.
    """

    def convert(node: Node) -> relax.Expr:
        edges, x = node.tensor(sequence), node.tensor("self")
        dtype = node.input_type(sequence, "self")
        edges, x = node.cast(edges, dtype), node.cast(x, dtype)
        if edges.ty.ndim > 1:
            edges = relax.op.expand_dims(edges, -2)
        op = relax.op.less_equal if right(node) else relax.op.less
        before = op(edges, relax.op.expand_dims(x, -1))
        return relax.op.sum(relax.op.astype(before, node.output.dtype), [-1])

    return convert


def _is_right(node: Node) -> bool:
    return bool(node.get("right", False)) or node.get("side", "left") == "right"


CONVERTERS: dict[str, Converter] = {
    "aten.embedding.default": embedding,
    "aten._embedding_bag.default": embedding_bag,
    "aten._embedding_bag_forward_only.default": embedding_bag,
    "aten.bucketize.Tensor": bucketize("boundaries", _is_right),
    "aten.searchsorted.Tensor": bucketize("sorted_sequence", _is_right),
}
