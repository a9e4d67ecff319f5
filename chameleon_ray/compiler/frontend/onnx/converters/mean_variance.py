"""MeanVarianceNormalization, whose variance is that of the centred values."""

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant

EPSILON = 1e-9
"""Added to the standard deviation, by ONNX's definition."""


def mean_variance(node: Node) -> relax.Expr:
    """Converts MeanVarianceNormalization over its axes, which are all but the channels."""
    data = node.input(0)
    axes = node.attributes.get("axes", [0, 2, 3])
    mean = node.emit(relax.op.mean(data, axes, keepdims=True))
    centred = node.emit(relax.op.subtract(data, mean))
    squares = node.emit(relax.op.multiply(centred, centred))
    variance = node.emit(relax.op.mean(squares, axes, keepdims=True))
    deviation = node.emit(relax.op.sqrt(variance))
    epsilon = constant(np.asarray(EPSILON), str(data.ty.dtype))
    return relax.op.divide(centred, node.emit(relax.op.add(deviation, epsilon)))


CONVERTERS: dict[Key, Converter] = {("", "MeanVarianceNormalization"): mean_variance}
