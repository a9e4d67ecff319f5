"""Gathering and scattering by tensors of places or of truth values."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.torch.node import Converter, Node, Untranslatable, static_shape

Places = Any
"""Places along an axis: a torch tensor where they are known, a Relax expression where not."""


def index(node: Node) -> relax.Expr:
    """Converts indexing by tensors: gathers from the indexed axes, laid out as one."""
    x, indices = node.tensor("self"), by_axis(node, node["indices"])
    masks = [place for place, one in enumerate(indices) if is_computed_mask(one)]
    if masks:
        return _masked(node, x, indices, masks)
    axes = [axis for axis, one in enumerate(indices) if one is not None]
    if not axes:
        return x
    flat, rest = flattened(node, x, axes)
    places, shape = linear(
        node, [indices[axis] for axis in axes], [node.shape_of(x)[a] for a in axes]
    )
    taken = node.emit(relax.op.take(flat, as_places(node, places), 0))
    taken = node.emit(node.reshape(taken, [*shape, *(node.shape_of(x)[axis] for axis in rest)]))
    return _in_place(taken, axes, len(shape))


def _in_place(taken: relax.Expr, axes: Sequence[int], count: int) -> relax.Expr:
    """Moves the axes of places from the front to where torch has them."""
    together = axes[-1] - axes[0] == len(axes) - 1
    first = axes[0] if together else 0
    ndim = taken.ty.ndim
    order = [*range(count, count + first), *range(count), *range(count + first, ndim)]
    return taken if order == list(range(ndim)) else relax.op.permute_dims(taken, order)


def by_axis(node: Node, indices: Sequence[Any]) -> list[Any]:
    """Returns an index for each axis; known masks become the places where they are true."""
    found: list[Any] = []
    for one in indices:
        if isinstance(one, torch.Tensor) and one.dtype in (torch.bool, torch.uint8):
            found.extend(one.nonzero().unbind(1))
        else:
            found.append(one)
    return found


def is_computed_mask(one: Any) -> bool:
    return isinstance(one, relax.Expr) and str(one.ty.dtype) in ("bool", "uint8")


def _masked(node: Node, x: relax.Expr, indices: Sequence[Any], masks: Sequence[int]) -> relax.Expr:
    """Gathers where a mask is true that is computed; how much that is, is known at run time."""
    if len(masks) > 1 or any(one is not None for p, one in enumerate(indices) if p not in masks):
        raise Untranslatable("it indexes by a mask and other tensors; use one mask alone")
    place = masks[0]
    mask = indices[place]
    axes = list(range(place, place + mask.ty.ndim))
    flat, rest = flattened(node, x, axes)
    true = node.cast(mask, "bool")
    places = true_places(node, node.emit(node.reshape(true, (-1,))))
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


def flattened(node: Node, x: relax.Expr, axes: Sequence[int]) -> tuple[relax.Expr, list[int]]:
    """Returns a tensor with some axes joined in front, and the axes that follow."""
    shape = node.shape_of(x)
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*axes, *rest]
    moved = x if order == list(range(len(shape))) else relax.op.permute_dims(x, order)
    joined = math.prod(shape[axis] for axis in axes)
    return node.emit(node.reshape(moved, [joined, *(shape[axis] for axis in rest)])), rest


def linear(
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
        found = positive(node, as_places(node, one), size)
        if total is not None:
            found = relax.op.add(relax.op.multiply(total, node.as_tensor(size, "int64")), found)
        total = node.emit(found)
    shape = static_shape(total)
    return node.reshape(total, (-1,)), shape


def as_places(node: Node, places: Places) -> relax.Expr:
    if isinstance(places, torch.Tensor):
        places = places.to(torch.int64)
    return node.as_tensor(places, "int64")


def positive(node: Node, places: relax.Expr, size: int) -> relax.Expr:
    """Returns places counted from the front, of ones that may be counted from the back."""
    below = relax.op.less(places, node.as_tensor(0, "int64"))
    return relax.op.where(below, relax.op.add(places, node.as_tensor(size, "int64")), places)


def nonzero(node: Node) -> relax.Expr:
    """Converts the places where a tensor is not zero, of shape (count, axes)."""
    x, shape = node.tensor("self"), node.shape("self")
    dtype = str(x.ty.dtype)
    truth = x if dtype == "bool" else relax.op.not_equal(x, node.as_tensor(0, dtype))
    places = true_places(node, node.emit(node.reshape(node.emit(truth), (-1,))))

    def along(places: Any) -> Any:
        return te.compute(
            (places.shape[0], len(shape)),
            lambda place, axis: _digit(places(place), axis, shape),
            "along",
        )

    return node.builder.emit_te(along, places)


def _digit(place: Any, axis: Any, shape: Sequence[int]) -> Any:
    """Returns the place along an axis of a place in all axes laid out as one."""
    found: Any = tirx.const(0, "int64")
    for number, size in enumerate(shape):
        inner = math.prod(shape[number + 1 :])
        own = tirx.floormod(
            tirx.floordiv(place, tirx.const(inner, "int64")), tirx.const(size, "int64")
        )
        found = own if number == 0 else tirx.Select(axis == number, own, found)
    return found


def masked_select(node: Node) -> relax.Expr:
    """Converts the elements where a mask is true."""
    x, mask = node.tensor("self"), node.tensor("mask")
    shape = torch.broadcast_shapes(node.shape_of(x), node.shape_of(mask))
    flat = node.reshape(relax.op.broadcast_to(x, shape), (-1,))
    true = node.emit(node.reshape(relax.op.broadcast_to(mask, shape), (-1,)))
    return relax.op.take(flat, true_places(node, true), 0)


def gather(node: Node) -> relax.Expr:
    """Converts a gathering of single elements along an axis."""
    x, places = node.tensor("self"), node.tensor("index", "int64")
    if not x.ty.ndim:
        return relax.op.broadcast_to(x, node.output.shape)
    if not places.ty.ndim:
        return node.reshape(relax.op.take(x, node.reshape(places, (1,)), 0), ())
    return relax.op.gather_elements(x, places, node.axis())


def index_select(node: Node) -> relax.Expr:
    """Converts places of an axis."""
    x, places = node.tensor("self"), node.tensor("index", "int64")
    if not x.ty.ndim:
        return x
    return relax.op.take(x, node.reshape(places, (-1,)), node.axis())


CONVERTERS: dict[str, Converter] = {
    "aten.index.Tensor": index,
    "aten._unsafe_index.Tensor": index,
    "aten.nonzero.default": nonzero,
    "aten.masked_select.default": masked_select,
    "aten.gather.default": gather,
    "aten.index_select.default": index_select,
}
