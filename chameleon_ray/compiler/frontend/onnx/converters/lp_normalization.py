"""LpNormalization: what has no length stays zero."""

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def lp_normalization(node: Node) -> relax.Expr:
    """Converts LpNormalization."""
    data, axis = node.input(0), int(node.attributes.get("axis", -1))
    order = int(node.attributes.get("p", 2))
    if order not in (1, 2):
        raise Untranslatable(f"its p is {order}, which has to be 1 or 2; correct the model")
    if order == 1:
        length = relax.op.sum(relax.op.abs(data), [axis], keepdims=True)
    else:
        length = relax.op.sqrt(relax.op.sum(relax.op.multiply(data, data), [axis], keepdims=True))
    length, dtype = node.emit(length), str(data.ty.dtype)
    zero, one = (constant(np.asarray(number), dtype) for number in (0.0, 1.0))
    divisor = relax.op.where(relax.op.equal(length, zero), one, length)
    return relax.op.divide(data, divisor)


CONVERTERS: dict[Key, Converter] = {("", "LpNormalization"): lp_normalization}
