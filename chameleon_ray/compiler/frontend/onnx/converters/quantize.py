"""QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: floats to small integers and back.

They become Relax's ``quantize`` and ``dequantize``, which the passes know. TVM's converters refuse
blocks and 4 bits, and take data that are all 0 for not a number.
"""

from typing import Any

import numpy as np
from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import WIDENED, constant

RANGES = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}
"""Bounds of integers that are kept in 8 bits."""
WIDE = ("int8", "uint8", "int16", "uint16", "int32")
"""Integers that TVM has tensors of."""


def quantize_linear(node: Node) -> relax.Expr:
    """Converts QuantizeLinear, of one scale, one for each channel, or one for each block."""
    data, dtype = _float32(node.input(0), node), _integers(node)
    scale = _float32(node.input(1), node)
    zero = node.optional(2)
    if dtype in WIDE and not node.attributes.get("block_size"):
        zero = constant(np.zeros(()), dtype) if zero is None else _small(zero)
        axis = _axis(node, data)
        return relax.op.quantize(data, _small(scale), zero, axis=axis, out_dtype=dtype)
    op = relax.op
    steps = op.round(op.divide(data, _spread(scale, node)))
    if zero is not None:
        steps = op.add(steps, op.astype(_spread(zero, node), "float32"))
    kept = WIDENED.get(dtype, dtype)
    bounds = RANGES.get(dtype) or (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, high = (constant(np.asarray(bound), "float32") for bound in bounds)
    return op.astype(op.minimum(op.maximum(steps, low), high), kept)


def dequantize_linear(node: Node) -> relax.Expr:
    """Converts DequantizeLinear, of one scale, one for each channel, or one for each block."""
    data, zero = node.input(0), node.optional(2)
    asked = int(node.attributes.get("output_dtype", 0))
    dtype = _name(asked) if asked else str(node.input(1).ty.dtype)
    scale = _float32(node.input(1), node)
    op = relax.op
    if str(data.ty.dtype) not in WIDE:
        raise Untranslatable(
            f"its integers are {data.ty.dtype}; quantise the model to 8 bits instead"
        )
    if node.attributes.get("block_size"):
        floats = op.astype(data, "float32")
        if zero is not None:
            floats = op.subtract(floats, op.astype(_spread(zero, node), "float32"))
        floats = op.multiply(floats, _spread(scale, node))
    else:
        zero = constant(np.zeros(()), str(data.ty.dtype)) if zero is None else _small(zero)
        floats = op.dequantize(data, _small(scale), zero, axis=_axis(node, data))
    return floats if dtype == "float32" else op.astype(node.emit(floats), dtype)


def dynamic_quantize_linear(node: Node) -> tuple[relax.Expr, ...]:
    """Converts DynamicQuantizeLinear to bytes whose scale and zero point suit the data.

    As ONNX Runtime has it: data that are all 0 have a scale of 1.
    """
    op, data = relax.op, node.input(0)
    one, zero = constant(np.ones(1), "float32"), constant(np.zeros(1), "float32")
    flat = node.emit(op.reshape(data, (1, -1)))
    high = node.emit(op.maximum(op.max(flat, axis=1), zero))
    low = node.emit(op.minimum(op.min(flat, axis=1), zero))
    span = node.emit(op.divide(op.subtract(high, low), constant(np.asarray(255), "float32")))
    scale = node.emit(op.where(op.equal(high, low), one, span))
    place = op.minimum(
        op.round(op.divide(op.negative(low), scale)), constant(np.asarray(255), "float32")
    )
    point = node.emit(op.astype(node.emit(place), "uint8"))
    integers = op.quantize(data, scale, point, axis=-1, out_dtype="uint8")
    return node.emit(integers), op.reshape(scale, ()), op.reshape(point, ())


def _integers(node: Node) -> str:
    """Returns the type of what QuantizeLinear makes."""
    zero, asked = node.optional(2), int(node.attributes.get("output_dtype", 0))
    dtype = node.outputs[0].dtype or ("uint8" if zero is None else str(zero.ty.dtype))
    dtype = _name(asked) if asked else dtype
    if dtype not in WIDE and dtype not in RANGES:
        raise Untranslatable(f"it makes {dtype}; quantise the model to 8 bits instead")
    return dtype


def _name(number: int) -> str:
    return np.dtype(helper.tensor_dtype_to_np_dtype(number)).name


def _axis(node: Node, data: relax.Expr) -> int:
    rank, axis = data.ty.ndim, int(node.attributes.get("axis", 1))
    return axis if -rank <= axis < rank else rank - 1


def _float32(value: Any, node: Node) -> relax.Expr:
    """Returns a value as float32; of shorter floats, ONNX Runtime computes in it, too."""
    if str(value.ty.dtype) == "float32":
        return value
    numbers = _numbers(value)
    if numbers is None:
        return node.emit(relax.op.astype(value, "float32"))
    return constant(numbers.astype("float32"), "float32")


def _numbers(value: Any) -> np.ndarray | None:
    return value.value.numpy() if hasattr(value, "value") else None


def _small(value: relax.Expr) -> relax.Expr:
    """Returns a constant of a single number without axes; all else as it is."""
    numbers = _numbers(value)
    if numbers is None or numbers.size != 1:
        return value
    return constant(numbers.reshape(()), str(value.ty.dtype))


def _spread(value: relax.Expr, node: Node) -> relax.Expr:
    """Repeats what blocks have in common, so that it broadcasts against the data."""
    data, block = node.input(0).ty, int(node.attributes.get("block_size", 0))
    rank = data.ndim
    axis = int(node.attributes.get("axis", 1)) % max(rank, 1)
    if not block:
        shape = [1] * rank
        if value.ty.ndim == 1 and int(value.ty.shape[0]) > 1:
            shape[axis] = -1
        return relax.op.reshape(value, shape)
    extent = int(data.shape[axis])
    numbers = _numbers(value)
    if numbers is not None:
        repeated = np.repeat(numbers, block, axis).take(range(extent), axis)
        return constant(repeated, str(value.ty.dtype))
    longer = node.emit(relax.op.repeat(value, block, axis))
    return relax.op.strided_slice(longer, [axis], [0], [extent])


CONVERTERS: dict[Key, Converter] = {
    **{(domain, "QuantizeLinear"): quantize_linear for domain in ("", "com.microsoft")},
    **{(domain, "DequantizeLinear"): dequantize_linear for domain in ("", "com.microsoft")},
    ("", "DynamicQuantizeLinear"): dynamic_quantize_linear,
}
