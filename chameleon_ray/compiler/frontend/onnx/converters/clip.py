"""Clip, of Relax operators; TVM makes loops of it, which stop layout passes."""

from typing import Any

from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def clip(node: Node) -> relax.Expr:
    """Converts Clip, whose bounds are attributes before version 11 and inputs since.

    The data come second, which is what TVM chooses where they are no number.
    """
    data = node.input(0)
    dtype = str(data.ty.dtype)
    bounds: list[Any] = [node.optional(1), node.optional(2)]
    if node.version < 11:
        given = [node.attributes.get(name) for name in ("min", "max")]
        bounds = [None if bound is None else relax.const(bound, dtype) for bound in given]
    low, high = bounds
    bounded = data if low is None else relax.op.maximum(low, data)
    return bounded if high is None else relax.op.minimum(high, bounded)


CONVERTERS: dict[Key, Converter] = {("", "Clip"): clip}
