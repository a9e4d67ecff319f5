"""Split into parts whose sizes are computed at run time, or are 0; TVM converts the others."""

import itertools
from collections.abc import Sequence
from typing import Any

from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import learnt
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def split(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts Split."""
    data = node.input(0)
    axis = axis_of(node.attributes.get("axis", 0), rank(data))
    if node.optional(1) is None or node.known(1) is not None:
        sizes = node.attributes.get("split") if node.optional(1) is None else node.known(1)
        if sizes is None or all(sizes):
            return tvm_converters.convert(node)
        return _known_parts(data, axis, sizes)
    shapes = [output.shape for output in node.outputs]
    sizes = learnt(node, node.input(1))
    sizes = [
        size if shape is None else tirx.const(shape[axis], "int64")
        for size, shape in zip(sizes, shapes, strict=True)
    ]
    start, parts = tirx.const(0, "int64"), []
    for size in sizes:
        parts.append(_part(node, data, axis, start, size))
        start = start + size
    return parts


def _known_parts(data: relax.Expr, axis: int, sizes: Any) -> list[relax.Expr]:
    """Takes parts, some of which have no elements, at which TVM's operator stops."""
    ends = [int(end) for end in itertools.accumulate(sizes)]
    extents = list(data.ty.shape)
    if ends[-1] != int(extents[axis]):
        raise Untranslatable("its sizes do not sum to the extent; export the model again")
    parts = []
    for size, end in zip(sizes, ends, strict=True):
        if size:
            part = relax.op.strided_slice(data, [axis], [end - int(size)], [end])
        else:
            shape = [*extents[:axis], 0, *extents[axis + 1 :]]
            part = relax.op.zeros(shape, str(data.ty.dtype))
        parts.append(part)
    return parts


def _part(node: Node, data: relax.Expr, axis: int, start: Any, size: Any) -> relax.Expr:
    def part(data: Any, start: Any) -> Any:
        def value(*place: Any) -> Any:
            return data(*place[:axis], place[axis] + start, *place[axis + 1 :])

        return te.compute([*data.shape[:axis], size, *data.shape[axis + 1 :]], value, "part")

    return node.emit(node.builder.call_te(part, data, start))


CONVERTERS: dict[Key, Converter] = {("", "Split"): split}
