"""Gathering and scattering by tensors of places or of truth values."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.torch.node import Converter, Node, Untranslatable, static_shape

Places = torch.Tensor | relax.Expr
"""Places along an axis: known, or computed."""


def index(node: Node) -> relax.Expr:
    """Converts indexing by tensors: gathers from the indexed axes, laid out as one."""
    x, indices = node.tensor("self"), _expanded(node, node["indices"])
    masks = [place for place, one in enumerate(indices) if _is_computed_mask(one)]
    if masks:
        return _masked(node, x, indices, masks)
    axes = [axis for axis, one in enumerate(indices) if one is not None]
    if not axes:
        return x
    flat, rest = _flattened(node, x, axes)
    places, shape = _linear(node, [indices[axis] for axis in axes], [node.shape_of(x)[a] for a in axes])
    taken = node.emit(relax.op.take(flat, _tensor(node, places), 0))
    taken = node.emit(relax.op.reshape(taken, [*shape, *(node.shape_of(x)[axis] for axis in rest)]))
    return _in_place(taken, axes, len(shape))


def _in_place(taken: relax.Expr, axes: Sequence[int], count: int) -> relax.Expr:
    """Moves the axes of places from the front to where torch has them."""
    together = axes[-1] - axes[0] == len(axes) - 1
    first = axes[0] if together else 0
    ndim = taken.ty.ndim
    order = [*range(count, count + first), *range(count), *range(count + first, ndim)]
    return taken if order == list(range(ndim)) else relax.op.permute_dims(taken, order)


def _expanded(node: Node, indices: Sequence[Any]) -> list[Any]:
    """Returns an index for each axis; known masks become the places where they are true."""
    found: list[Any] = []
    for one in indices:
        if isinstance(one, torch.Tensor) and one.dtype in (torch.bool, torch.uint8):
            found.extend(one.nonzero().unbind(1))
        else:
            found.append(one)
    return found


def _is_computed_mask(one: Any) -> bool:
    return isinstance(one, relax.Expr) and str(one.ty.dtype) in ("bool", "uint8")


def _masked(node: Node, x: relax.Expr, indices: Sequence[Any], masks: Sequence[int]) -> relax.Expr:
    """Gathers where a mask is true that is computed; how much that is, is known at run time."""
    if len(masks) > 1 or any(one is not None for p, one in enumerate(indices) if p not in masks):
        raise Untranslatable("it indexes by a mask and other tensors; use one mask alone")
    place = masks[0]
    mask = indices[place]
    axes = list(range(place, place + mask.ty.ndim))
    flat, rest = _flattened(node, x, axes)
    true = node.cast(mask, "bool")
    places = true_places(node, node.emit(relax.op.reshape(true, (-1,))))
    taken = relax.op.take(flat, places, 0)
    return _in_place(node.emit(taken), axes, 1) if rest else taken


def true_places(node: Node, truth: relax.Expr) -> relax.Expr:
    """Returns the places where a vector of truth values is true; how many, is known at run time.

    A stable sort puts them first, and what follows them is cut off.
    """
    order = node.emit(relax.op.argsort(node.cast(truth, "int32"), 0, True, "int64"))
    count = relax.op.sum(relax.op.astype(truth, "int64"), [0], True)
    extent = tirx.Var("count", "int64")
    known = node.emit(relax.op.tensor_to_shape(count))
    node.builder.match_cast(known, relax.ShapeType([extent]))

    def cut(order: Any) -> Any:
        return te.compute((extent,), lambda place: order(place), "cut")

    return node.builder.emit_te(cut, order)


def _flattened(node: Node, x: relax.Expr, axes: Sequence[int]) -> tuple[relax.Expr, list[int]]:
    """Returns a tensor with some axes joined in front, and the axes that follow."""
    shape = node.shape_of(x)
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*axes, *rest]
    moved = x if order == list(range(len(shape))) else relax.op.permute_dims(x, order)
    joined = math.prod(shape[axis] for axis in axes)
    return node.emit(relax.op.reshape(moved, [joined, *(shape[axis] for axis in rest)])), rest


def _linear(
    node: Node, places: Sequence[Places], sizes: Sequence[int]
) -> tuple[Places, tuple[int, ...]]:
    """Joins places along several axes to places along one, flat; returns the places' shape, too."""
    if all(isinstance(one, torch.Tensor) for one in places):
        known = [one % size for one, size in zip(places, sizes, strict=True)]  # type: ignore[operator]
        joined = torch.zeros((), dtype=torch.int64)
        for one, size in zip(known, sizes, strict=True):
            joined = joined * size + one.to(torch.int64)
        return joined.reshape(-1), tuple(joined.shape)
    total: relax.Expr | None = None
    for one, size in zip(places, sizes, strict=True):
        found = positive(node, _tensor(node, one), size)
        if total is not None:
            found = relax.op.add(relax.op.multiply(total, node.as_tensor(size, "int64")), found)
        total = node.emit(found)
    shape = static_shape(total)
    return relax.op.reshape(total, (-1,)), shape


def _tensor(node: Node, places: Places) -> relax.Expr:
    if isinstance(places, torch.Tensor):
        places = places.to(torch.int64)
    return node.as_tensor(places, "int64")


def positive(node: Node, places: relax.Expr, size: int) -> relax.Expr:
    """Returns places counted from the front, of ones that may be counted from the back."""
    below = relax.op.less(places, node.as_tensor(0, "int64"))
    return relax.op.where(below, relax.op.add(places, node.as_tensor(size, "int64")), places)


def index_put(node: Node) -> relax.Expr:
    """Converts indexing by tensors on the left of an assignment."""
    x, dtype = node.tensor("self"), node.output.dtype
    indices = _expanded(node, node["indices"])
    values, add = node.tensor("values", dtype), bool(node.get("accumulate", False))
    masks = [place for place, one in enumerate(indices) if _is_computed_mask(one)]
    if masks:
        return _put_where(node, x, indices, values, add)
    axes = [axis for axis, one in enumerate(indices) if one is not None]
    shape = node.shape_of(x)
    flat, rest = _flattened(node, x, axes)
    places, of = _linear(node, [indices[axis] for axis in axes], [shape[axis] for axis in axes])
    wide = _front(node, values, axes, of, [shape[axis] for axis in rest])
    count, tail = math.prod(of), [shape[axis] for axis in rest]
    flat_places = relax.op.reshape(_tensor(node, places), [count, *[1] * len(tail)])
    flat_places = node.emit(relax.op.broadcast_to(flat_places, [count, *tail]))
    put = relax.op.scatter_elements(flat, flat_places, wide, 0, "add" if add else "update")
    put = node.emit(relax.op.reshape(put, [*(shape[axis] for axis in axes), *tail]))
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
    return node.emit(relax.op.reshape(relax.op.permute_dims(wide, order), [math.prod(of), *tail]))


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
    wide = relax.op.reshape(mask, [*node.shape_of(mask), *[1] * tail])
    wide = node.emit(relax.op.broadcast_to(node.cast(node.emit(wide), "bool"), shape))
    one_each = node.shape_of(values)
    if len(one_each) > tail and one_each[len(one_each) - tail - 1] != 1:
        if tail or place:
            raise Untranslatable("it assigns several values by a mask; use torch.where")
        values = _nth(node, mask, values)
    return relax.op.where(wide, relax.op.add(x, values) if add else values, x)


def _nth(node: Node, mask: relax.Expr, values: relax.Expr) -> relax.Expr:
    """Returns, for each place of a mask, the value that the truths before it have left over."""
    counted = relax.op.cumsum(relax.op.reshape(node.cast(mask, "bool"), (-1,)), 0, "int64")
    order = relax.op.subtract(counted, node.as_tensor(1, "int64"))
    order = relax.op.maximum(order, node.as_tensor(0, "int64"))
    taken = relax.op.take(relax.op.reshape(values, (-1,)), order, 0)
    return node.emit(relax.op.reshape(taken, node.shape_of(mask)))


def masked_scatter(node: Node) -> relax.Expr:
    """Converts an assignment of values in order to where a mask is true."""
    x, shape = node.tensor("self"), node.output.shape
    mask = node.emit(relax.op.broadcast_to(node.tensor("mask"), shape))
    return relax.op.where(mask, _nth(node, mask, node.tensor("source")), relax.op.broadcast_to(x, shape))


def nonzero(node: Node) -> relax.Expr:
    """Converts the places where a tensor is not zero, of shape (count, axes)."""
    x, shape = node.tensor("self"), node.shape("self")
    dtype = str(x.ty.dtype)
    truth = x if dtype == "bool" else relax.op.not_equal(x, node.as_tensor(0, dtype))
    places = true_places(node, node.emit(relax.op.reshape(node.emit(truth), (-1,))))

    def along(places: Any) -> Any:
        return te.compute(
            (places.shape[0], len(shape)), lambda place, axis: _digit(places(place), axis, shape), "along"
        )

    return node.builder.emit_te(along, places)


def _digit(place: Any, axis: Any, shape: Sequence[int]) -> Any:
    """Returns the place along an axis of a place in all axes laid out as one."""
    found: Any = tirx.const(0, "int64")
    for number, size in enumerate(shape):
        inner = math.prod(shape[number + 1 :])
        own = tirx.floormod(tirx.floordiv(place, tirx.const(inner, "int64")), tirx.const(size, "int64"))
        found = own if number == 0 else tirx.Select(axis == number, own, found)
    return found


def masked_select(node: Node) -> relax.Expr:
    """Converts the elements where a mask is true."""
    x, mask = node.tensor("self"), node.tensor("mask")
    shape = torch.broadcast_shapes(node.shape_of(x), node.shape_of(mask))
    flat = relax.op.reshape(relax.op.broadcast_to(x, shape), (-1,))
    true = node.emit(relax.op.reshape(relax.op.broadcast_to(mask, shape), (-1,)))
    return relax.op.take(flat, true_places(node, true), 0)


def gather(node: Node) -> relax.Expr:
    """Converts a gathering of single elements along an axis."""
    x, places = node.tensor("self"), node.tensor("index", "int64")
    if not x.ty.ndim:
        return relax.op.broadcast_to(x, node.output.shape)
    if not places.ty.ndim:
        return relax.op.reshape(relax.op.take(x, relax.op.reshape(places, (1,)), 0), ())
    return relax.op.gather_elements(x, places, node.axis())


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
        flat = [node.emit(relax.op.reshape(one, (1,))) for one in (x, places, source)]
        return relax.op.reshape(relax.op.scatter_elements(*flat, 0, kind), ())
    shape = node.shape_of(places)
    source = node.emit(source)
    if source.ty.ndim and node.shape_of(source) != shape:
        axes = list(range(len(shape)))
        source = relax.op.strided_slice(source, axes, [0] * len(shape), list(shape), [1] * len(shape))
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


def index_select(node: Node) -> relax.Expr:
    """Converts places of an axis."""
    x, places = node.tensor("self"), node.tensor("index", "int64")
    if not x.ty.ndim:
        return x
    return relax.op.take(x, relax.op.reshape(places, (-1,)), node.axis())


def index_add(node: Node) -> relax.Expr:
    """Converts an addition to places of an axis."""
    x, axis, dtype = node.tensor("self"), node.axis(), node.output.dtype
    source = node.tensor("source", dtype)
    if node.get("alpha", 1) != 1:
        source = relax.op.multiply(source, node.as_tensor(node["alpha"], dtype))
    source = node.emit(source)
    shape = [1] * x.ty.ndim
    shape[axis] = -1
    places = relax.op.reshape(node.tensor("index", "int64"), shape)
    places = node.emit(relax.op.broadcast_to(places, node.shape_of(source)))
    return relax.op.scatter_elements(x, places, source, axis, "add")


def embedding(node: Node) -> relax.Expr:
    """Converts rows of a table."""
    weight, places = node.tensor("weight"), node.tensor("indices", "int64")
    flat = relax.op.take(weight, relax.op.reshape(places, (-1,)), 0)
    return relax.op.reshape(flat, node.output.shape)


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
    offsets = node.emit(relax.op.reshape(node.tensor("offsets", "int64"), (-1, 1)))
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
    "aten.index.Tensor": index,
    "aten._unsafe_index.Tensor": index,
    "aten.index_put.default": index_put,
    "aten._unsafe_index_put.default": index_put,
    "aten.nonzero.default": nonzero,
    "aten.masked_select.default": masked_select,
    "aten.masked_scatter.default": masked_scatter,
    "aten.gather.default": gather,
    "aten.scatter.src": scatter("update"),
    "aten.scatter.value": scatter("update"),
    "aten.scatter.reduce": scatter("update"),
    "aten.scatter.value_reduce": scatter("update"),
    "aten.scatter_add.default": scatter("add"),
    "aten.scatter_reduce.two": scatter_reduce,
    "aten.index_select.default": index_select,
    "aten.index_add.default": index_add,
    "aten.embedding.default": embedding,
    "aten._embedding_bag.default": embedding_bag,
    "aten._embedding_bag_forward_only.default": embedding_bag,
    "aten.bucketize.Tensor": bucketize("boundaries", _is_right),
    "aten.searchsorted.Tensor": bucketize("sorted_sequence", _is_right),
}
