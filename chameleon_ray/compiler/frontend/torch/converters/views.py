"""Operators that give a tensor another shape, or move, repeat and join its elements."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import (
    Complex,
    Converter,
    Node,
    Untranslatable,
    torch_dtype,
)


def each(convert: Converter) -> Converter:
    """Makes a converter that treats the two halves of complex numbers alike."""

    def converted(node: Node) -> Any:
        value = node.arguments.get("self")
        if not isinstance(value, Complex):
            return convert(node)
        halves = (_with(node, "self", part) for part in (value.real, value.imaginary))
        return Complex(*(node.emit(convert(half)) for half in halves))

    return converted


def _with(node: Node, name: str, value: Any) -> Node:
    from dataclasses import replace

    return replace(node, arguments={**node.arguments, name: value})


def reshape(node: Node) -> relax.Expr:
    """Converts a view as another shape."""
    shape = node.output.shape
    if shape is None:
        raise Untranslatable("its shape depends on values; pad what it reads to a fixed shape")
    return node.reshape(node.tensor("self"), shape)


def permute(node: Node) -> relax.Expr:
    """Converts a permutation of axes."""
    x = node.tensor("self")
    return (
        relax.op.permute_dims(x, [int(dim) % x.ty.ndim for dim in node["dims"]]) if x.ty.ndim else x
    )


def transpose(node: Node) -> relax.Expr:
    """Converts an exchange of two axes."""
    x = node.tensor("self")
    axes = list(range(x.ty.ndim))
    if axes:
        one, other = int(node["dim0"]) % len(axes), int(node["dim1"]) % len(axes)
        axes[one], axes[other] = axes[other], axes[one]
    return relax.op.permute_dims(x, axes) if axes else x


def expand(node: Node) -> relax.Expr:
    """Converts a repetition of axes of extent one."""
    shape = node.output.shape
    if shape is None:
        raise Untranslatable("its shape depends on values; give it a fixed one")
    return relax.op.broadcast_to(node.tensor("self"), shape)


def squeeze(node: Node) -> relax.Expr:
    """Converts the removal of axes of extent one."""
    if node.output.shape is not None:
        return reshape(node)
    dims = node.get("dim")
    return relax.op.squeeze(node.tensor("self"), [dims] if isinstance(dims, int) else dims)


def unsqueeze(node: Node) -> relax.Expr:
    """Converts a new axis of extent one."""
    return relax.op.expand_dims(node.tensor("self"), int(node["dim"]) % node.output.ndim)


def sliced(node: Node) -> relax.Expr:
    """Converts a range of an axis."""
    start, end, step = node.get("start", 0), node.get("end", 2**62), int(node.get("step", 1))
    if not isinstance(start, int) or not isinstance(end, int):
        raise Untranslatable("its bounds depend on values; give it fixed ones")
    axis, x = node.axis(), node.tensor("self")
    size: Any = x.ty.shape[axis] if x.ty.shape is not None else None
    if hasattr(size, "value"):
        start, end, _ = slice(start, end, step).indices(int(size.value))
        if (start, end, step) == (0, int(size.value), 1):
            return x
        end = max(end, start)
    elif start == 0 and end >= 2**62 and step == 1:
        return x
    return relax.op.strided_slice(x, [axis], [start], [end], [step])


def select(node: Node) -> relax.Expr:
    """Converts one place of an axis."""
    axis, place = node.axis(), node["index"]
    if not isinstance(place, int):
        raise Untranslatable("the place that it takes depends on values; use torch.index_select")
    place %= node.shape("self")[axis]
    picked = relax.op.strided_slice(node.tensor("self"), [axis], [place], [place + 1], [1])
    return relax.op.squeeze(picked, [axis])


def concat(node: Node) -> relax.Expr:
    """Converts a concatenation; empty vectors, of any rank, are left out as torch does."""
    dtype = node.output.dtype
    parts = [node.as_tensor(one, dtype) for one in node["tensors"]]
    parts = [part for part in parts if part.ty.ndim == node.output.ndim]
    return (
        relax.op.concat(parts, int(node["dim"]) % node.output.ndim) if len(parts) > 1 else parts[0]
    )


def split(node: Node) -> Sequence[relax.Expr]:
    """Converts a split of an axis into parts of given sizes."""
    axis, x = node.axis(), node.tensor("self")
    sizes = node.arguments.get("split_sizes", node.arguments.get("split_size"))
    if isinstance(sizes, int):
        total = node.shape("self")[axis]
        sizes = [min(sizes, total - start) for start in range(0, total, max(sizes, 1))]
    ends = np.cumsum([int(size) for size in sizes]).tolist()
    starts = [0, *ends[:-1]]
    return [
        relax.op.strided_slice(x, [axis], [start], [end], [1])
        for start, end in zip(starts, ends, strict=True)
    ]


def unbind(node: Node) -> Sequence[relax.Expr]:
    """Converts an axis into separate tensors."""
    axis, x = node.axis(), node.tensor("self")
    places = range(node.shape("self")[axis])
    parts = (relax.op.strided_slice(x, [axis], [place], [place + 1], [1]) for place in places)
    return [relax.op.squeeze(part, [axis]) for part in parts]


def repeat(node: Node) -> relax.Expr:
    """Converts a repetition of the whole along each axis."""
    return relax.op.tile(node.tensor("self"), [int(count) for count in node["repeats"]])


def flip(node: Node) -> relax.Expr:
    """Converts axes into their reverse order."""
    x = node.tensor("self")
    for dim in node["dims"]:
        x = node.emit(relax.op.flip(x, int(dim) % x.ty.ndim)) if x.ty.ndim else x
    return x


def pad(node: Node) -> relax.Expr:
    """Converts padding with a number; negative amounts cut off."""
    x, amounts = node.tensor("self"), [int(amount) for amount in node["pad"]]
    ndim = x.ty.ndim
    pairs = [tuple(amounts[i : i + 2]) for i in range(0, len(amounts), 2)]
    pairs = [*[(0, 0)] * (ndim - len(pairs)), *reversed(pairs)]
    for axis, (before, after) in enumerate(pairs):
        if before < 0 or after < 0:
            size = node.shape_of(x)[axis]
            low, high = max(-before, 0), size - max(-after, 0)
            x = node.emit(relax.op.strided_slice(x, [axis], [low], [high], [1]))
    widths = [max(amount, 0) for pair in pairs for amount in pair]
    dtype, value = str(x.ty.dtype), node.get("value", 0)
    if not any(widths):
        return x
    if dtype == "bool":
        padded = relax.op.nn.pad(node.cast(x, "uint8"), widths, pad_value=float(bool(value)))
        return relax.op.astype(padded, "bool")
    return relax.op.nn.pad(x, widths, pad_value=float(value))


def as_strided(node: Node) -> relax.Expr:
    """Converts a view by strides, as a gathering of the elements that it shows."""
    x = node.reshape(node.tensor("self"), (-1,))
    sizes, strides = list(node["size"]), list(node["stride"])
    count = math.prod(node.shape("self"))
    offset = int(node.get("storage_offset", 0))
    places = torch.as_strided(torch.arange(count + offset + 1), sizes, strides, offset)
    return node.reshape(relax.op.take(x, node.as_tensor(places.reshape(-1)), 0), sizes)


def windows(node: Node) -> relax.Expr:
    """Converts overlapping windows along an axis, which become a new last axis."""
    x, axis = node.tensor("self"), int(node["dimension"]) % max(node.tensor("self").ty.ndim, 1)
    size, step = int(node["size"]), int(node["step"])
    if not x.ty.ndim:
        return node.reshape(x, (size,))
    count = (node.shape("self")[axis] - size) // step + 1
    places = torch.arange(count)[:, None] * step + torch.arange(size)
    taken = node.emit(relax.op.take(x, node.as_tensor(places.reshape(-1)), axis))
    shape = list(node.shape_of(taken))
    taken = node.emit(node.reshape(taken, [*shape[:axis], count, size, *shape[axis + 1 :]]))
    axes = [one for one in range(taken.ty.ndim) if one != axis + 1]
    return relax.op.permute_dims(taken, [*axes, axis + 1])


def diagonal(node: Node) -> relax.Expr:
    """Converts a diagonal of two axes, which becomes the last axis."""
    x = node.tensor("self")
    shape, ndim = node.shape("self"), x.ty.ndim
    one, other = int(node["dim1"]) % ndim, int(node["dim2"]) % ndim
    offset = int(node["offset"])
    rest = [axis for axis in range(ndim) if axis not in (one, other)]
    flat = relax.op.permute_dims(x, [*rest, one, other])
    flat = node.reshape(flat, [*(shape[axis] for axis in rest), shape[one] * shape[other]])
    places = torch.arange(shape[one] * shape[other]).reshape(shape[one], shape[other])
    return relax.op.take(flat, node.as_tensor(places.diagonal(offset)), len(rest))


def bits_as(node: Node) -> relax.Expr:
    """Converts a view of the same bits as another type of the same size."""
    before, after = str(node.tensor("self").ty.dtype), node.output.dtype
    if torch_dtype(before).itemsize != torch_dtype(after).itemsize:
        raise Untranslatable(f"it views {before} as {after}, of another size; cast it instead")
    if before == after:
        return node.tensor("self")
    import tvm
    from tvm import te

    def reinterpret(x: Any) -> Any:
        return te.compute(x.shape, lambda *i: tvm.tirx.reinterpret(after, x(*i)), "reinterpret")

    return node.builder.emit_te(reinterpret, node.tensor("self"))


def triangle(op: Any) -> Converter:
    """Makes a converter of one triangle of a matrix, with zeros elsewhere."""
    return lambda node: op(node.tensor("self"), int(node["diagonal"]))


_RESHAPES = ("view", "_unsafe_view", "reshape", "flatten")

CONVERTERS: dict[str, Converter] = {
    **{f"aten.{name}.default": each(reshape) for name in _RESHAPES},
    "aten.view_copy.default": each(reshape),
    "aten.permute.default": each(permute),
    "aten.transpose.int": each(transpose),
    "aten.expand.default": each(expand),
    **{f"aten.squeeze.{one}": each(squeeze) for one in ("default", "dim", "dims")},
    "aten.unsqueeze.default": each(unsqueeze),
    "aten.slice.Tensor": each(sliced),
    "aten.select.int": each(select),
    "aten.cat.default": concat,
    "aten.split_with_sizes.default": split,
    "aten.split.Tensor": split,
    "aten.unbind.int": unbind,
    "aten.repeat.default": each(repeat),
    "aten.flip.default": each(flip),
    "aten.constant_pad_nd.default": each(pad),
    "aten.as_strided.default": as_strided,
    "aten.unfold.default": each(windows),
    "aten.diagonal.default": each(diagonal),
    "aten.view.dtype": bits_as,
    "aten.tril.default": triangle(relax.op.tril),
    "aten.triu.default": triangle(relax.op.triu),
}
