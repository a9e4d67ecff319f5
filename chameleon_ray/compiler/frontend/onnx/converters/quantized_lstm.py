"""ONNX Runtime's DynamicQuantizeLSTM: an LSTM of small integers, quantising its data as it runs.

The input of all steps is rounded to bytes of one scale, and so is the state before every step.
"""

from dataclasses import replace

from tvm import relax

from chameleon_ray.compiler.frontend.onnx.converters.quantize import dynamic_quantize_linear
from chameleon_ray.compiler.frontend.onnx.converters.recurrent import LSTM, layer
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant

WEIGHTS = {1: (8, 9), 2: (10, 11)}
"""Places of the scales and the zero points, by that of the weights."""


def dynamic_quantize_lstm(node: Node) -> list[relax.Expr]:
    """Converts DynamicQuantizeLSTM; its weights must be constant."""
    inputs = list(node.inputs[:8])
    inputs[0] = rounded(node, node.input(0))
    for place in WEIGHTS:
        inputs[place] = _floats(node, place)
    return layer(replace(node, inputs=tuple(inputs)), LSTM, rounded)


def rounded(node: Node, data: relax.Expr) -> relax.Expr:
    """Returns floats as they are after quantisation to bytes."""
    integers, scale, point = dynamic_quantize_linear(replace(node, inputs=(data,)))
    less = relax.op.subtract(
        relax.op.astype(integers, "float32"), relax.op.astype(node.emit(point), "float32")
    )
    return node.emit(relax.op.multiply(less, scale))


def _floats(node: Node, place: int) -> relax.Expr:
    """Returns weights ``(D, K, 4 H)`` of integers as LSTM has them: floats ``(D, 4 H, K)``.

    Scales and zero points are ``(D,)`` or ``(D, 4 H)``.
    """
    integers = node.constant(place, "weights")
    count = len(integers)
    scale, point = (
        node.constant(one, "scales and zero points").reshape(count, 1, -1) for one in WEIGHTS[place]
    )
    floats = (integers.astype("float32") - point.astype("float32")) * scale
    return constant(floats.transpose(0, 2, 1), "float32")


CONVERTERS: dict[Key, Converter] = {("com.microsoft", "DynamicQuantizeLSTM"): dynamic_quantize_lstm}
