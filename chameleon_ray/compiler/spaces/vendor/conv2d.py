"""Recognises 2-D convolutions: cuDNN computes them, and cuBLASLt those of single pixels."""

from dataclasses import replace
from math import prod
from typing import Any

import tvm
from tvm.ir.expr import TensorLoad
from tvm.sym import detect_linear_equation

from chameleon_ray.compiler.spaces.vendor.epilogue import Unknown, called, is_copy
from chameleon_ray.compiler.spaces.vendor.layer import (
    CUBLASLT,
    CUDNN,
    Call,
    Layer,
    demand,
    is_index,
    shape_of,
)
from chameleon_ray.compiler.spaces.vendor.matmul import PLAIN, by_cublaslt


def convolutions(layer: Layer) -> list[Call]:
    """Describes a convolution of one group, whose channels are first or last in both operands.

    Raises:
        Unknown: It is something else.
    """
    demand(len(layer.spatial) == 4 and len(layer.reduced) == 3)
    try:
        return _convolution(layer, True)
    except Unknown:
        return _convolution(layer, False)


def _convolution(layer: Layer, last: bool) -> list[Call]:
    """Describes a convolution whose channels are last, or first."""
    data, weight = layer.loads
    demand(len(data.indices) == len(weight.indices) == 4)
    if last:
        image, high, wide, channel = layer.spatial
        down, across, depth = layer.reduced
        wanted, axes = (channel, down, across, depth), (1, 2)
    else:
        image, channel, high, wide = layer.spatial
        depth, down, across = layer.reduced
        wanted, axes = (channel, depth, down, across), (2, 3)
    demand(
        all(
            is_index(i, v, weight, n)
            for n, (i, v) in enumerate(zip(weight.indices, wanted, strict=True))
        )
    )
    places = {0: image, (3 if last else 1): depth}
    demand(all(is_index(data.indices[n], v, data, n) for n, v in places.items()))
    steps = [
        _steps(data.indices[axis], (out, inner), layer)
        for axis, out, inner in zip(axes, (high, wide), (down, across), strict=True)
    ]
    source, before, after = _padding(layer, data, axes)
    weights = layer.parameter(weight.source)
    shapes = (shape_of(source), shape_of(weight.source), tuple(layer.extents))
    geometry = (int(last), *(s for s, _ in steps), *before, *after, *(d for _, d in steps))
    epilogue = layer.epilogue(3 if last else 1)
    demand(epilogue.scale == 1)
    operands = (layer.parameter(source), weights)
    call = layer.checked(Call(CUDNN, "conv2d", operands, shapes, epilogue, False, geometry))
    return [call, *_pixelwise(layer, call)]


def _pixelwise(layer: Layer, call: Call) -> list[Call]:
    """Returns the matrix product that a convolution of single pixels is, if it is one."""
    kernel = call.shapes[1][1:3]
    if call.geometry != PLAIN or kernel != (1, 1):
        return []
    rows, columns, depth = prod(call.shapes[0][:3]), call.shapes[1][0], call.shapes[1][3]
    geometry = (1, rows, columns, depth, 0, 1, rows * depth, 0)
    return by_cublaslt(layer, replace(call, library=CUBLASLT, function="matmul", geometry=geometry))


def _steps(index: Any, variables: tuple[Any, Any], layer: Layer) -> tuple[int, int]:
    """Returns stride and dilation of ``index = stride * out + dilation * inner``.

    Raises:
        Unknown: The index is another expression.
    """
    every = [*layer.spatial, *layer.reduced]
    found = detect_linear_equation(index, every)
    demand(len(found) == len(every) + 1)
    numbers = [int(n) if isinstance(n, tvm.tirx.IntImm) else -1 for n in found]
    stride, dilation = (
        next(number for v, number in zip(every, numbers, strict=False) if v.same_as(variable))
        for variable in variables
    )
    others = sum(map(abs, numbers)) - abs(stride) - abs(dilation)
    demand(not others and min(stride, dilation) >= 0)
    return max(stride, 1), max(dilation, 1)


def _padding(
    layer: Layer, data: Any, axes: tuple[int, int]
) -> tuple[Any, tuple[int, int], tuple[int, int]]:
    """Returns what is padded with zeros, and by how much before and after its rows and columns.

    Raises:
        Unknown: It is padded otherwise.
    """
    block = layer.writer(data.source)
    if block is None or is_copy(block):
        return data.source, (0, 0), (0, 0)
    value, source = block.body.value, block.reads[0].source
    demand(isinstance(value, tvm.ir.Call) and called(value) == "if_then_else")
    _, inside, outside = value.args
    demand(isinstance(inside, TensorLoad) and isinstance(outside, tvm.tirx.FloatImm))
    demand(float(outside.value) == 0 and len(inside.indices) == 4)
    own, padded = shape_of(source), shape_of(block.body.buffer)
    variables = [i.var for i in block.iter_vars]
    before = []
    for axis, index in enumerate(inside.indices):
        found = detect_linear_equation(index, [variables[axis]])
        demand(len(found) == 2 and all(isinstance(n, tvm.tirx.IntImm) for n in found))
        demand(int(found[0]) == 1)
        before.append(-int(found[1]))
        demand(axis in axes or (before[-1] == 0 and own[axis] == padded[axis]))
    after = [padded[axis] - own[axis] - before[axis] for axis in axes]
    demand(min(*after, *before) >= 0)
    return source, (before[axes[0]], before[axes[1]]), (after[0], after[1])
