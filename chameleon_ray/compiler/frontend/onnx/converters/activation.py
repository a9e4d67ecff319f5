"""Activations whose numbers TVM takes for float32, whatever the type of their input."""

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def elu(node: Node) -> relax.Expr:
    """Converts Elu."""
    return _elu(node, node.attributes.get("alpha", 1.0))


def selu(node: Node) -> relax.Expr:
    """Converts Selu, whose defaults are those of the paper, as ONNX rounds them."""
    alpha = node.attributes.get("alpha", 1.67326319217681884765625)
    gamma = node.attributes.get("gamma", 1.05070102214813232421875)
    return relax.op.multiply(_number(node, gamma), _elu(node, alpha))


def thresholded_relu(node: Node) -> relax.Expr:
    """Converts ThresholdedRelu."""
    data, zero = node.input(0), _number(node, 0.0)
    above = relax.op.greater(data, _number(node, node.attributes.get("alpha", 1.0)))
    return relax.op.where(above, data, zero)


def _elu(node: Node, alpha: float) -> relax.Expr:
    data, zero = node.input(0), _number(node, 0.0)
    below = relax.op.exp(relax.op.minimum(data, zero))
    curve = relax.op.multiply(_number(node, alpha), relax.op.subtract(below, _number(node, 1.0)))
    return relax.op.add(relax.op.maximum(data, zero), curve)


def _number(node: Node, value: float) -> relax.Expr:
    return constant(np.asarray(value), str(node.input(0).ty.dtype))


CONVERTERS: dict[Key, Converter] = {
    ("", "Elu"): elu,
    ("", "Selu"): selu,
    ("", "ThresholdedRelu"): thresholded_relu,
}
