"""Slice, Pad and Range whose bounds come at run time, where the shape of the output is declared.

The bounds are read inside the loop nest, and what they lead to stays within the tensor.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import helper
from tvm import relax, te, tirx
from tvm.ir import Expr

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant

Index = Callable[[int, Expr], Expr]
"""Place in the input of an index of the output, given the axis."""


def slice_(node: Node) -> relax.Expr:
    """Converts Slice; only its starts, axes and steps matter where the output's shape is known."""
    if node.version < 10:
        node = _with_inputs(node)
    if _are_known(node, range(1, 5)):
        return tvm_converters.convert(node)
    shape = node.declared_shape("starts, ends, axes or steps")
    data = node.input(0)
    extents = [int(size) for size in data.ty.shape]
    starts, axes = _whole(node, 1), _axes(node, 3)
    steps = constant(np.ones(int(axes.ty.shape[0]), np.int64), "int64")
    if node.optional(4) is not None:
        steps = _whole(node, 4)

    def compute(data: te.Tensor, starts: te.Tensor, axes: te.Tensor, steps: te.Tensor) -> te.Tensor:
        def place(axis: int, index: Expr) -> Expr:
            extent = tirx.const(extents[axis], "int64")
            begin, stride = tirx.const(0, "int64"), tirx.const(1, "int64")
            for row in range(int(starts.shape[0])):
                step = steps[row]
                start = starts[row] + tirx.Select(starts[row] < 0, extent, tirx.const(0, "int64"))
                last = tirx.Select(step < 0, extent - 1, extent)
                hit = _is_axis(axes[row], axis, len(extents))
                begin = tirx.Select(hit, tirx.max(tirx.min(start, last), 0), begin)
                stride = tirx.Select(hit, step, stride)
            return _within(begin + index * stride, extents[axis])

        return te.compute(shape, lambda *index: data(*_places(place, index)), "slice")

    return node.builder.emit_te(compute, data, starts, axes, steps, primfunc_name_hint="slice")


def _with_inputs(node: Node) -> Node:
    """Returns a Slice whose bounds are attributes, as those before version 10, with inputs."""
    given = node.attributes
    axes = given.get("axes", range(len(given["starts"])))
    bounds = [np.array(numbers, np.int64) for numbers in (given["starts"], given["ends"], axes)]
    inputs = (node.input(0), *(constant(numbers, "int64") for numbers in bounds))
    return replace(node, proto=helper.make_node("Slice", [], []), version=13, inputs=inputs)


def pad(node: Node) -> relax.Expr:
    """Converts Pad."""
    if node.version < 11 or _are_known(node, (1, 3)):
        return tvm_converters.convert(node)
    shape, mode = node.declared_shape("pads"), node.attributes.get("mode", "constant")
    data = node.input(0)
    extents, dtype = [int(size) for size in data.ty.shape], str(data.ty.dtype)
    fill = constant(np.zeros(()), dtype)
    if node.optional(2) is not None:
        fill = node.emit(relax.op.reshape(node.input(2), ()))
    pads, axes = _whole(node, 1), _axes(node, 3)

    def compute(data: te.Tensor, pads: te.Tensor, axes: te.Tensor, fill: te.Tensor) -> te.Tensor:
        def place(axis: int, index: Expr) -> Expr:
            before = tirx.const(0, "int64")
            for row in range(int(axes.shape[0])):
                before = tirx.Select(_is_axis(axes[row], axis, len(extents)), pads[row], before)
            return index - before

        def value(*index: Expr) -> Expr:
            places = _places(place, index)
            pairs = list(zip(places, extents, strict=True))
            inside = [_BORDERS[mode](one, extent) for one, extent in pairs]
            if mode != "constant":
                return data(*inside)
            is_inside = tirx.all(*(tirx.all(one >= 0, one < extent) for one, extent in pairs))
            return tirx.Select(is_inside, data(*inside), fill())

        return te.compute(shape, value, "pad")

    return node.builder.emit_te(compute, data, pads, axes, fill, primfunc_name_hint="pad")


def range_(node: Node) -> relax.Expr:
    """Converts Range; only its start and step matter where the number of values is declared."""
    shape = node.outputs[0].shape
    if shape is None:
        return tvm_converters.convert(node)
    start, step = (node.emit(relax.op.reshape(node.input(place), ())) for place in (0, 2))
    dtype = str(start.ty.dtype)

    def compute(start: te.Tensor, step: te.Tensor) -> te.Tensor:
        return te.compute(shape, lambda i: start() + i.astype(dtype) * step(), "range")

    return node.builder.emit_te(compute, start, step, primfunc_name_hint="range")


def _are_known(node: Node, places: range | tuple[int, ...]) -> bool:
    return all(node.optional(place) is None or node.known(place) is not None for place in places)


def _whole(node: Node, place: int) -> relax.Expr:
    """Returns an input as 64-bit integers."""
    return node.emit(relax.op.astype(node.input(place), "int64"))


def _axes(node: Node, place: int) -> relax.Expr:
    """Returns the axes that an input names, or those that the input before it means."""
    if node.optional(place) is not None:
        return _whole(node, place)
    count = int(node.input(1).ty.shape[0])
    count = count // 2 if node.proto.op_type == "Pad" else count
    return constant(np.arange(count), "int64")


def _is_axis(named: Expr, axis: int, rank: int) -> Expr:
    return tirx.any(named == axis, named == axis - rank)


def _places(place: Index, index: tuple[Expr, ...]) -> list[Expr]:
    return [place(axis, one.astype("int64")) for axis, one in enumerate(index)]


def _within(place: Expr, extent: int) -> Expr:
    return tirx.max(tirx.min(place, tirx.const(extent - 1, "int64")), tirx.const(0, "int64"))


def _reflected(place: Expr, extent: int) -> Expr:
    if extent == 1:
        return tirx.const(0, "int64")
    period = tirx.const(2 * (extent - 1), "int64")
    folded = tirx.floormod(place, period)
    return tirx.min(folded, period - folded)


def _wrapped(place: Expr, extent: int) -> Expr:
    return tirx.floormod(place, tirx.const(extent, "int64"))


_BORDERS: dict[str, Callable[[Expr, int], Expr]] = {
    "constant": _within,
    "edge": _within,
    "reflect": _reflected,
    "wrap": _wrapped,
}
"""Place that is read for one outside of the tensor, by mode."""

CONVERTERS: dict[Key, Converter] = {
    ("", "Slice"): slice_,
    ("", "Pad"): pad,
    ("", "Range"): range_,
}
