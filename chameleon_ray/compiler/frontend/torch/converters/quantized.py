"""Quantisers of programs that torch's PT2E quantisation has made.

They become Relax's ``quantize`` and ``dequantize``, as those of ONNX models do.
"""

from typing import Any

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed
from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import (
    Converter,
    Node,
    Untranslatable,
    numpy_dtype,
)
from chameleon_ray.compiler.relax import constant

TYPES = ("int8", "uint8", "int16", "uint16")
"""Types of integers that Relax quantises to."""


def quantize(node: Node) -> relax.Expr:
    """Converts floats to integers, of one scale or one for each channel, within given bounds."""
    dtype = numpy_dtype(node["dtype"])
    if dtype not in TYPES:
        raise Untranslatable(f"it quantises to {dtype}; quantise the module to 8 bits")
    data = node.tensor("input", "float32")
    scale, zero, axis = _parameters(node, dtype)
    integers = node.emit(relax.op.quantize(data, scale, zero, axis=axis, out_dtype=dtype))
    whole = np.iinfo(dtype)
    low, high = int(node["quant_min"]), int(node["quant_max"])
    if low > whole.min:
        integers = node.emit(relax.op.maximum(integers, constant(np.asarray(low), dtype)))
    if high < whole.max:
        integers = node.emit(relax.op.minimum(integers, constant(np.asarray(high), dtype)))
    return integers


def dequantize(node: Node) -> relax.Expr:
    """Converts integers to the floats that they stand for."""
    data = node.tensor("input")
    scale, zero, axis = _parameters(node, str(data.ty.dtype))
    return node.cast(relax.op.dequantize(data, scale, zero, axis=axis), node.output.dtype)


def _parameters(node: Node, dtype: str) -> tuple[relax.Expr, relax.Expr, int]:
    """Returns scales, zero points of a type, and their axis."""
    if "axis" in node.arguments:
        axis = int(node["axis"]) % node.tensor("input").ty.ndim
        zeros = node["zero_points"]
        zeros = torch.zeros(node["scales"].shape) if zeros is None else zeros
        return _number(node, node["scales"], "float32"), _number(node, zeros, dtype), axis
    scale, zero = node["scale"], node["zero_point"]
    return _number(node, scale, "float32"), _number(node, zero, dtype), -1


def _number(node: Node, value: Any, dtype: str) -> relax.Expr:
    """Returns a number, or a tensor of them; a single number has no axes."""
    if isinstance(value, torch.Tensor):
        value = value.numpy().reshape(()) if value.numel() == 1 else value.numpy()
    known = isinstance(value, int | float | np.ndarray)
    return constant(np.asarray(value), dtype) if known else node.as_tensor(value, dtype)


NAMESPACE = "quantized_decomposed"
CONVERTERS: dict[str, Converter] = {
    **{f"{NAMESPACE}.quantize_per_tensor.{one}": quantize for one in ("default", "tensor")},
    **{f"{NAMESPACE}.dequantize_per_tensor.{one}": dequantize for one in ("default", "tensor")},
    f"{NAMESPACE}.quantize_per_channel.default": quantize,
    f"{NAMESPACE}.dequantize_per_channel.default": dequantize,
}
"""Converters by operator."""
