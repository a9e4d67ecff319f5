"""Split into parts of no extent, or of sizes that are computed at run time; TVM does the others."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import learnt
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def split(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts Split."""
    sizes = node.attributes.get("split")
    known = node.known(1)
    if known is not None:
        sizes = known.tolist()
    if node.optional(1) is None or known is not None:
        return _known_parts(node, sizes) if sizes and 0 in sizes else tvm_converters.convert(node)
    data = node.input(0)
    axis = axis_of(node.attributes.get("axis", 0), rank(data))
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


def _known_parts(node: Node, sizes: Sequence[int]) -> Sequence[relax.Expr]:
    """Cuts parts of known sizes, some of them 0, at which TVM's operator stops."""
    data = node.input(0)
    shape = list(extents(data))
    axis = axis_of(node.attributes.get("axis", 0), len(shape))
    ends = list(accumulate(sizes))
    if ends[-1] != shape[axis]:
        raise Untranslatable("its sizes do not sum to the extent; export the model again")
    return [
        relax.op.strided_slice(data, [axis], [end - size], [end])
        if size
        else relax.op.zeros([*shape[:axis], 0, *shape[axis + 1 :]], str(data.ty.dtype))
        for size, end in zip(sizes, ends, strict=True)
    ]


def _part(node: Node, data: relax.Expr, axis: int, start: Any, size: Any) -> relax.Expr:
    def part(data: Any, start: Any) -> Any:
        def value(*place: Any) -> Any:
            return data(*place[:axis], place[axis] + start, *place[axis + 1 :])

        return te.compute([*data.shape[:axis], size, *data.shape[axis + 1 :]], value, "part")

    return node.emit(node.builder.call_te(part, data, start))


CONVERTERS: dict[Key, Converter] = {("", "Split"): split}
