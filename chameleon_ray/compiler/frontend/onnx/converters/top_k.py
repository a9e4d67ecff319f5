"""TopK of any type, whose number may be computed at run time."""

from typing import Any

from tvm import relax, te

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import extent_of
from chameleon_ray.compiler.frontend.onnx.converters.sorting import SORTABLE, sortable
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def top_k(node: Node) -> list[relax.Expr]:
    """Converts TopK; values and places are sorted even where that is not asked for."""
    data = node.input(0)
    axis = axis_of(node.attributes.get("axis", -1), rank(data))
    dtype = str(data.ty.dtype)
    if node.version < 10:
        count: Any = int(node.attributes["k"])
    else:
        declared = node.outputs[0].shape
        count = extent_of(node, 1, None if declared is None else declared[axis])
    size = extents(data)[axis]
    if isinstance(count, int) and count > size:
        raise Untranslatable(f"it takes {count} of {size} elements; correct the model")
    found = relax.op.topk(
        sortable(node, data),
        count if isinstance(count, int) else size,
        axis,
        largest=bool(node.attributes.get("largest", 1)),
        dtype="int64",
    )
    whole = node.emit(found)
    parts = [node.emit(relax.TupleGetItem(whole, place)) for place in range(2)]
    if not isinstance(count, int):
        parts = [_cut(node, part, axis, count) for part in parts]
    values, places = parts
    return [relax.op.astype(values, dtype) if dtype not in SORTABLE else values, places]


def _cut(node: Node, data: relax.Expr, axis: int, count: Any) -> relax.Expr:
    """Returns the first elements of an axis."""

    def cut(data: Any) -> Any:
        shape = [*data.shape[:axis], count, *data.shape[axis + 1 :]]
        return te.compute(shape, lambda *place: data(*place), "cut")

    return node.emit(node.builder.call_te(cut, data))


CONVERTERS: dict[Key, Converter] = {("", "TopK"): top_k}
