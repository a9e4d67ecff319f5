"""Split into parts whose sizes are computed at run time; TVM converts the others."""

from collections.abc import Sequence
from typing import Any

from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import learnt
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def split(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts Split."""
    if node.optional(1) is None or node.known(1) is not None:
        own = tvm_converters.converter("Split")
        if own is None:
            raise Untranslatable("TVM has no converter of it; export the model without it")
        return own(node)
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


def _part(node: Node, data: relax.Expr, axis: int, start: Any, size: Any) -> relax.Expr:
    def part(data: Any, start: Any) -> Any:
        def value(*place: Any) -> Any:
            return data(*place[:axis], place[axis] + start, *place[axis + 1 :])

        return te.compute([*data.shape[:axis], size, *data.shape[axis + 1 :]], value, "part")

    return node.emit(node.builder.call_te(part, data, start))


CONVERTERS: dict[Key, Converter] = {("", "Split"): split}
