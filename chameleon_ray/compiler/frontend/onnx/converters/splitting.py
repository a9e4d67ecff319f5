"""Split with parts of no extent, at which TVM's operator stops."""

import itertools
from collections.abc import Sequence

from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def split(node: Node) -> Sequence[relax.Expr] | relax.Expr:
    """Converts Split."""
    sizes = node.attributes.get("split")
    if node.optional(1) is not None:
        sizes = node.constant(1, "sizes").tolist()
    if sizes is None or 0 not in sizes:
        return tvm_converters.convert(node)
    data = node.input(0)
    axis = int(node.attributes.get("axis", 0)) % len(data.ty.shape)
    ends = list(itertools.accumulate(sizes))
    if ends[-1] != int(data.ty.shape[axis]):
        raise Untranslatable("its sizes do not sum to the extent; export the model again")
    return [_part(data, axis, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _part(data: relax.Expr, axis: int, begin: int, end: int) -> relax.Expr:
    if begin == end:
        shape = [0 if place == axis else int(size) for place, size in enumerate(data.ty.shape)]
        return relax.op.zeros(shape, str(data.ty.dtype))
    return relax.op.strided_slice(data, [axis], [begin], [end])


CONVERTERS: dict[Key, Converter] = {("", "Split"): split}
