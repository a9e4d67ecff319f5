"""LpNormalization: vectors along an axis, of length one by the sum of sizes or of squares."""

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def lp_normalization(node: Node) -> relax.Expr:
    """Converts LpNormalization; a vector of zeros stays one."""
    data, order = node.input(0), node.attributes.get("p", 2)
    axis = node.attributes.get("axis", -1)
    if order not in (1, 2):
        raise Untranslatable(f"its p is {order}; export it with 1 or 2")
    if order == 1:
        sizes = node.emit(relax.op.abs(data))
        norm = node.emit(relax.op.sum(sizes, axis, keepdims=True))
    else:
        squares = node.emit(relax.op.multiply(data, data))
        total = node.emit(relax.op.sum(squares, axis, keepdims=True))
        norm = node.emit(relax.op.sqrt(total))
    dtype = str(data.ty.dtype)
    zero, one = (constant(np.asarray(value), dtype) for value in (0, 1))
    none = node.emit(relax.op.equal(norm, zero))
    return relax.op.divide(data, node.emit(relax.op.where(none, one, norm)))


CONVERTERS: dict[Key, Converter] = {("", "LpNormalization"): lp_normalization}
