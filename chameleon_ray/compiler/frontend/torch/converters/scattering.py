"""Putting elements into a tensor: at places, in ranges, and where a mask is true."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.converters.indexing import (
    as_places,
    by_axis,
    flattened,
    is_computed_mask,
    linear,
)
from chameleon_ray.compiler.frontend.torch.node import Converter, Node, Untranslatable


def index_put(node: Node) -> relax.Expr:
    """Converts indexing by tensors on the left of an assignment."""
    x, dtype = node.tensor("self"), node.output.dtype
    indices = by_axis(node, node["indices"])
    values, add = node.tensor("values", dtype), bool(node.get("accumulate", False))
    masks = [place for place, one in enumerate(indices) if is_computed_mask(one)]
    if masks:
        return _put_where(node, x, indices, values, add)
    axes = [axis for axis, one in enumerate(indices) if one is not None]
    shape = node.shape_of(x)
    flat, rest = flattened(node, x, axes)
    places, of = linear(node, [indices[axis] for axis in axes], [shape[axis] for axis in axes])
    wide = _front(node, values, axes, of, [shape[axis] for axis in rest])
    count, tail = math.prod(of), [shape[axis] for axis in rest]
    flat_places = node.reshape(as_places(node, places), [count, *[1] * len(tail)])
    flat_places = node.emit(relax.op.broadcast_to(flat_places, [count, *tail]))
    put = relax.op.scatter_elements(flat, flat_places, wide, 0, "add" if add else "update")
    put = node.emit(node.reshape(put, [*(shape[axis] for axis in axes), *tail]))
    order = [*axes, *rest]
    return relax.op.permute_dims(put, [order.index(axis) for axis in range(len(shape))])


def _front(
    node: Node, values: relax.Expr, axes: Sequence[int], of: Sequence[int], tail: Sequence[int]
) -> relax.Expr:
    """Broadcasts assigned values, with the axes of places joined in front."""
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    whole = [*tail[:first], *of, *tail[first:]]
    wide = node.emit(relax.op.broadcast_to(values, whole))
    order = [*range(first, first + len(of)), *range(first), *range(first + len(of), len(whole))]
    return node.emit(node.reshape(relax.op.permute_dims(wide, order), [math.prod(of), *tail]))


def _put_where(
    node: Node, x: relax.Expr, indices: Sequence[Any], values: relax.Expr, add: bool
) -> relax.Expr:
    """Assigns where a computed mask is true."""
    given = [(place, one) for place, one in enumerate(indices) if one is not None]
    if len(given) > 1:
        raise Untranslatable("it assigns by a mask and other tensors; use torch.where")
    place, mask = given[0]
    shape = node.shape_of(x)
    tail = len(shape) - place - mask.ty.ndim
    wide = node.reshape(mask, [*node.shape_of(mask), *[1] * tail])
    wide = node.emit(relax.op.broadcast_to(node.cast(node.emit(wide), "bool"), shape))
    one_each = node.shape_of(values)
    if len(one_each) > tail and one_each[len(one_each) - tail - 1] != 1:
        if tail or place:
            raise Untranslatable("it assigns several values by a mask; use torch.where")
        values = _nth(node, mask, values)
    return relax.op.where(wide, relax.op.add(x, values) if add else values, x)


def _nth(node: Node, mask: relax.Expr, values: relax.Expr) -> relax.Expr:
    """Returns, for each place of a mask, the value that the truths before it have left over."""
    counted = relax.op.cumsum(node.reshape(node.cast(mask, "bool"), (-1,)), 0, "int64")
    order = relax.op.subtract(counted, node.as_tensor(1, "int64"))
    order = relax.op.maximum(order, node.as_tensor(0, "int64"))
    taken = relax.op.take(node.reshape(values, (-1,)), order, 0)
    return node.emit(node.reshape(taken, node.shape_of(mask)))


def masked_scatter(node: Node) -> relax.Expr:
    """Converts an assignment of values in order to where a mask is true."""
    x, shape = node.tensor("self"), node.output.shape
    mask = node.emit(relax.op.broadcast_to(node.tensor("mask"), shape))
    return relax.op.where(
        mask, _nth(node, mask, node.tensor("source")), relax.op.broadcast_to(x, shape)
    )


def scatter(reduction: str) -> Converter:
    """Makes a converter of a scattering of single elements along an axis."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        value = node.arguments.get("src", node.arguments.get("value"))
        kind = {"add": "add", "multiply": "mul"}.get(node.get("reduce", ""), reduction)
        return _scattered(node, node.tensor("self"), node.as_tensor(value, dtype), kind)

    return convert


def _scattered(node: Node, x: relax.Expr, source: relax.Expr, kind: str) -> relax.Expr:
    places = node.tensor("index", "int64")
    if not x.ty.ndim:
        flat = [node.emit(node.reshape(one, (1,))) for one in (x, places, source)]
        return node.reshape(relax.op.scatter_elements(*flat, 0, kind), ())
    shape = node.shape_of(places)
    source = node.emit(source)
    if source.ty.ndim and node.shape_of(source) != shape:
        axes = list(range(len(shape)))
        source = relax.op.strided_slice(
            source, axes, [0] * len(shape), list(shape), [1] * len(shape)
        )
    elif not source.ty.ndim:
        source = relax.op.broadcast_to(source, shape)
    return relax.op.scatter_elements(x, places, node.emit(source), node.axis(), kind)


def scatter_reduce(node: Node) -> relax.Expr:
    """Converts a scattering that adds, multiplies, averages, or keeps the largest or smallest."""
    kinds = {"sum": "add", "prod": "mul", "mean": "add", "amax": "max", "amin": "min"}
    dtype, kind = node.output.dtype, node["reduce"]
    x, source = node.tensor("self"), node.tensor("src", dtype)
    if not node.get("include_self", True):
        first = _neutral(kinds[kind], dtype)
        x = node.emit(_scattered(node, x, node.as_tensor(first, dtype), "update"))
    found = node.emit(_scattered(node, x, source, kinds[kind]))
    if kind != "mean":
        return found
    ones = node.as_tensor(1, dtype)
    start = relax.op.ones_like(x)
    if not node.get("include_self", True):
        start = _scattered(node, node.emit(start), node.as_tensor(0, dtype), "update")
    counts = node.emit(_scattered(node, node.emit(start), ones, "add"))
    counts = relax.op.maximum(counts, ones)
    quotient = relax.op.divide if "float" in dtype else relax.op.floor_divide
    return quotient(found, counts)


def _neutral(kind: str, dtype: str) -> float | int:
    """Returns the number that a reduction leaves everything as it is with."""
    if kind in ("add", "mul"):
        return 0 if kind == "add" else 1
    if "float" in dtype:
        return -math.inf if kind == "max" else math.inf
    limits = torch.iinfo(getattr(torch, dtype))
    return limits.min if kind == "max" else limits.max


def index_add(node: Node) -> relax.Expr:
    """Converts an addition to places of an axis."""
    x, axis, dtype = node.tensor("self"), node.axis(), node.output.dtype
    source = node.tensor("source", dtype)
    if node.get("alpha", 1) != 1:
        source = relax.op.multiply(source, node.as_tensor(node["alpha"], dtype))
    source = node.emit(source)
    shape = [1] * x.ty.ndim
    shape[axis] = -1
    places = node.reshape(node.tensor("index", "int64"), shape)
    places = node.emit(relax.op.broadcast_to(places, node.shape_of(source)))
    return relax.op.scatter_elements(x, places, source, axis, "add")


def slice_scatter(node: Node) -> relax.Expr:
    """Converts a tensor in whose range of an axis another is put."""
    axis, x = node.axis(), node.tensor("self")
    size = node.shape("self")[axis]
    start, end, step = node.get("start", 0), node.get("end", 2**62), int(node.get("step", 1))
    places = torch.arange(size)[start:end:step]
    return put(node, x, node.tensor("src", str(x.ty.dtype)), places, axis)


def select_scatter(node: Node) -> relax.Expr:
    """Converts a tensor in one place of whose axis another is put."""
    axis, x = node.axis(), node.tensor("self")
    place = int(node["index"]) % node.shape("self")[axis]
    source = relax.op.expand_dims(node.tensor("src", str(x.ty.dtype)), axis)
    return put(node, x, node.emit(source), torch.tensor([place]), axis)


def put(
    node: Node, x: relax.Expr, source: relax.Expr, places: torch.Tensor, axis: int
) -> relax.Expr:
    """Returns a tensor with others at known places of an axis: a choice between two gatherings."""
    size = node.shape_of(x)[axis]
    origin = torch.zeros(size, dtype=torch.int64)
    origin[places] = torch.arange(len(places))
    new = torch.zeros(size, dtype=torch.bool)
    new[places] = True
    if len(places) == 0:
        return x
    shape = [1] * x.ty.ndim
    shape[axis] = size
    spread = relax.op.take(source, node.as_tensor(origin), axis)
    return relax.op.where(node.as_tensor(new.reshape(shape)), spread, x)


CONVERTERS: dict[str, Converter] = {
    "aten.index_put.default": index_put,
    "aten._unsafe_index_put.default": index_put,
    "aten.masked_scatter.default": masked_scatter,
    "aten.scatter.src": scatter("update"),
    "aten.scatter.value": scatter("update"),
    "aten.scatter.reduce": scatter("update"),
    "aten.scatter.value_reduce": scatter("update"),
    "aten.scatter_add.default": scatter("add"),
    "aten.scatter_reduce.two": scatter_reduce,
    "aten.index_add.default": index_add,
    "aten.slice_scatter.default": slice_scatter,
    "aten.select_scatter.default": select_scatter,
}
