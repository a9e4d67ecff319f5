"""Pooling with any padding, MaxPool with the places of the largest values, and its reverse."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import tvm
from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.converters.pooling_window import (
    Window,
    windows,
    with_padding,
)
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def max_pool(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts MaxPool; TVM's converter does it where only the values are wanted."""
    found = windows(node)
    if len([name for name in node.proto.output if name]) < 2:
        return tvm_converters.convert(with_padding(node, found))
    data = node.input(0)
    shape = list(extents(data))
    return _pooled(node, data, shape, found)


def average_pool(node: Node) -> relax.Expr:
    """Converts AveragePool; windows that were rounded up count what the model pads, no more."""
    found = windows(node)
    value = tvm_converters.convert(with_padding(node, found))
    if not node.attributes.get("count_include_pad", 0):
        return value
    lengths = extents(node.input(0))[2:]
    factors = np.ones([1, 1])
    for window, length in zip(found, lengths, strict=True):
        factors = factors[..., None] * (window.kernel / window.counted(length))
    if (factors == 1).all():
        return value
    return relax.op.multiply(node.emit(value), constant(factors, str(node.input(0).ty.dtype)))


def lp_pool(node: Node) -> relax.Expr:
    """Converts LpPool: the root of the sum of powers in every window."""
    data, order = node.input(0), node.attributes.get("p", 2)
    dtype = str(data.ty.dtype)
    found = windows(node)
    if order == 2:
        raised = node.emit(relax.op.multiply(data, data))
    else:
        exponent = constant(np.asarray(order), dtype)
        raised = node.emit(relax.op.power(node.emit(relax.op.abs(data)), exponent))
    padded = with_padding(replace(node, inputs=(raised,)), found)
    padded.proto.op_type = "AveragePool"
    padded.proto.attribute.append(helper.make_attribute("count_include_pad", 1))
    mean = node.emit(tvm_converters.convert(padded))
    count = constant(np.asarray(prod(window.kernel for window in found)), dtype)
    total = node.emit(relax.op.multiply(mean, count))
    if order == 2:
        return relax.op.sqrt(total)
    return relax.op.power(total, constant(np.asarray(1 / order), dtype))


def max_unpool(node: Node) -> relax.Expr:
    """Converts MaxUnpool: values go to their places in a tensor of zeros."""
    data, places = node.input(0), node.input(1)
    shape = list(extents(data))
    given, count = node.attributes, len(shape) - 2
    if node.optional(2) is not None:
        size = [int(extent) for extent in node.constant(2, "output_shape")]
    else:
        kernel = given["kernel_shape"]
        strides = given.get("strides", [1] * count)
        pads = given.get("pads", [0] * 2 * count)
        size = shape[:2]
        for i, extent in enumerate(shape[2:]):
            size.append((extent - 1) * strides[i] + kernel[i] - pads[i] - pads[count + i])
    empty = node.emit(relax.op.zeros([prod(size)], str(data.ty.dtype)))
    flat = [node.emit(relax.op.reshape(value, [-1])) for value in (places, data)]
    filled = node.emit(relax.op.scatter_elements(empty, *flat, axis=0))
    return relax.op.reshape(filled, size)


def _pooled(
    node: Node, data: relax.Expr, shape: list[int], found: list[Window]
) -> Sequence[relax.Expr]:
    """Compares the elements of all windows, one after the other; the first of equal ones wins."""
    dtype = str(data.ty.dtype)
    pads = [(0, 0), (0, 0)]
    pads += [(w.before, w.after(n)) for w, n in zip(found, shape[2:], strict=True)]
    lowest = tvm.tirx.min_value(dtype).value
    padded = node.emit(
        relax.op.nn.pad(data, [int(n) for pair in pads for n in pair], "constant", lowest)
    )
    numbers = np.pad(_numbers(shape, node.attributes.get("storage_order", 0)), pads)
    best: Any = None
    for offsets in product(*(range(window.kernel) for window in found)):
        begins = [o * w.dilation for o, w in zip(offsets, found, strict=True)]
        ends = [b + (w.size - 1) * w.stride + 1 for b, w in zip(begins, found, strict=True)]
        steps = [w.stride for w in found]
        axes = list(range(2, len(shape)))
        value = node.emit(relax.op.strided_slice(padded, axes, begins, ends, steps))
        cut = tuple(map(slice, begins, ends, steps))
        place = constant(numbers[(slice(None), slice(None), *cut)], "int64")
        if best is None:
            best = (value, place)
            continue
        larger = node.emit(relax.op.greater(value, best[0]))
        pairs = ((value, best[0]), (place, best[1]))
        best = tuple(node.emit(relax.op.where(larger, new, old)) for new, old in pairs)
    return list(best)


def _numbers(shape: list[int], by_column: int) -> np.ndarray:
    """Numbers the elements of a tensor, those of a picture row by row or column by column."""
    if not by_column:
        return np.arange(prod(shape)).reshape(shape)
    if len(shape) != 4:
        raise Untranslatable("its storage_order is by column; export it by row")
    turned = np.arange(prod(shape)).reshape([*shape[:2], shape[3], shape[2]])
    return turned.transpose(0, 1, 3, 2)


CONVERTERS: dict[Key, Converter] = {
    ("", "MaxPool"): max_pool,
    ("", "AveragePool"): average_pool,
    ("", "LpPool"): lp_pool,
    ("", "MaxUnpool"): max_unpool,
}
