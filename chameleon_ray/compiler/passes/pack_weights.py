"""Packs constant weights ahead of time, in blocks as long as a vector.

A kernel that keeps a vector of output channels in a register reads just these channels' weights,
one input channel after the other. In HWIO these weights are a row of all output channels apart. In
``[O/b, H, W, I, b]``, with b channels to the vector, they follow each other.
"""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, topi
from tvm.ir import Call, GenericConst

from chameleon_ray.compiler.passes.pad_extents import computed, is_awkward, rounded_matmul
from chameleon_ray.compiler.relax import constant, is_static
from chameleon_ray.compiler.target import vector_bits

NARROWEST = 4
"""Fewest channels in a block; weights that have no such block stay as they are."""
OUTPUT_FUSABLE = 4
"""TVM's number of the pattern of operators that elementwise ones are fused to."""
Packed = tuple[bytes, str, int, int]
"""What tells packed matrices apart: a digest of the numbers, their type, the rows, and a block."""


def lanes(channels: int, dtype: str) -> int:
    """Returns the channels in a block: they divide all channels, and fit a vector of the target."""
    width = vector_bits(tvm.target.Target.current())
    return math.gcd(channels, width // tvm.DataType(dtype).bits)


def conv2d(builder: relax.BlockBuilder, call: Call, rounding: bool = True) -> relax.Expr:
    """Legalises a 2-D convolution, with packed weights where possible.

    Args:
        builder: Builder of the module.
        call: The operator's call.
        rounding: Whether more columns may be computed than there are.
    """
    attrs, weights = call.attrs, call.args[1]
    dtype, groups = str(call.ty.dtype), int(attrs.groups)
    block = lanes(int(call.ty.shape[3]) // groups, dtype) if is_packable(call) else 0
    if block < NARROWEST:
        return call.op.get_attr("FLegalize")(builder, call)
    height, width, channels, filters = (int(size) for size in weights.ty.shape)
    split = weights.value.numpy().reshape(height, width, channels, filters // block, block)
    packed = split.transpose(3, 0, 1, 2, 4)
    window = [list(map(int, sizes)) for sizes in (attrs.strides, attrs.padding, attrs.dilation)]
    loops = partial(packed_conv2d, window=window, rounding=rounding, groups=groups)
    return called(builder, call, loops, packed, "conv2d", str(weights.ty.dtype))


def _is_plain(call: Call) -> bool:
    """Whether a call's weights are constant, and all its tensors are of one type of float.

    With float32, the weights may also be shorter floats.
    """
    data, weights = call.args
    dtypes = {str(value.ty.dtype) for value in (call, data)}
    short = ("float16", "bfloat16") if dtypes == {"float32"} else ()
    return (
        isinstance(weights, GenericConst)
        and len(dtypes) == 1
        and min(dtypes).startswith("float")
        and str(weights.ty.dtype) in (*dtypes, *short)
    )


def is_packable(call: Call) -> bool:
    """Whether a 2-D convolution's weights can be packed."""
    attrs = call.attrs
    return (
        _is_plain(call)
        and attrs.data_layout == attrs.out_layout == "NHWC"
        and attrs.kernel_layout == "HWIO"
        and isinstance(call.ty.shape, relax.ShapeExpr)
    )


def packed_conv2d(
    data: Any, weights: Any, window: list[list[int]], rounding: bool, groups: int = 1
) -> Any:
    """Convolves with packed weights, by the formula below.

    ``out[n, y, x, f] = sum data[n, y s + i d, x s + j d, c] weights[f // b, i, j, c, f % b]``,
    where a group's filters sum up the channels c of their own group.

    Args:
        data: ``(N, H, W, G C)``.
        weights: ``(F / b, I, J, C, b)``.
        window: Strides down and across; padding at the top, left, bottom, right; dilation down and
            across.
        rounding: Whether more columns may be computed than there are.
        groups: Groups G of channels, each convolved by itself; b divides the filters of one.
    """
    blocks, height, width, channels, block = (int(size) for size in weights.shape)
    strides, (top, left, bottom, right), dilation = window
    if any(window[1]):
        data = topi.nn.pad(data, [0, top, left, 0], [0, bottom, right, 0], name="pad_temp")
    rows, columns = (
        (size - (kernel - 1) * step - 1) // stride + 1
        for size, kernel, step, stride in zip(
            data.shape[1:3], (height, width), dilation, strides, strict=True
        )
    )
    ry = te.reduce_axis((0, height), "ry")
    rx = te.reduce_axis((0, width), "rx")
    rc = te.reduce_axis((0, channels), "rc")

    def point(n: Any, y: Any, x: Any, f: Any) -> Any:
        row = y * strides[0] + ry * dilation[0]
        column = x * strides[1] + rx * dilation[1]
        first = f // (blocks * block // groups) * channels if groups > 1 else 0
        weight = weights[f // block, ry, rx, rc, f % block].astype(data.dtype)
        return te.sum(data[n, row, column, first + rc] * weight, axis=[ry, rx, rc])

    shape = (data.shape[0], rows, columns, blocks * block)
    return computed(shape, 2, point, "conv2d_nhwc", rounding)


def matmul(
    builder: relax.BlockBuilder,
    call: Call,
    rounding: bool = True,
    shared: dict[Packed, GenericConst] | None = None,
) -> relax.Expr:
    """Legalises a matrix product, with packed weights where the right matrix is constant.

    Args:
        builder: Builder of the module.
        call: The operator's call.
        rounding: Whether more rows may be computed than there are.
        shared: Weights packed so far, which equal ones share: each step of a recurrent layer
            multiplies by the same. New ones are added. None where nothing is to be shared.
    """
    data, weights = call.args
    dtype = str(call.ty.dtype)
    plain = _is_plain(call) and weights.ty.ndim == 2 and data.ty.ndim > 1
    block = lanes(int(weights.ty.shape[1]), dtype) if plain else 0
    if block >= NARROWEST:
        packed = _blocks(weights, block, {} if shared is None else shared)
        product = partial(packed_matmul, rounding=rounding)
        return called(builder, call, product, packed, "matmul", str(weights.ty.dtype))
    if rounding and is_awkward(call):
        tensors = [te.placeholder(tuple(arg.ty.shape), dtype) for arg in call.args]
        loops = [*tensors, rounded_matmul(*tensors)]
        return tir_call(builder, call, loops, tuple(call.args), "matmul")
    return call.op.get_attr("FLegalize")(builder, call)


def _blocks(weights: GenericConst, block: int, shared: dict[Packed, GenericConst]) -> GenericConst:
    """Packs a matrix ``(K, N)`` to ``(N / block, K, block)``, or returns an equal one of before."""
    array, dtype = weights.value.numpy(), str(weights.ty.dtype)
    rows, columns = array.shape
    key = (hashlib.sha256(array.tobytes()).digest(), dtype, rows, block)
    if key not in shared:
        split = array.reshape(rows, columns // block, block)
        shared[key] = constant(split.transpose(1, 0, 2), dtype)
    return shared[key]


def packed_matmul(data: Any, weights: Any, rounding: bool) -> Any:
    """Multiplies a matrix by packed weights, by the formula below.

    ``out[..., i, j] = sum data[..., i, k] weights[j // b, k, j % b]``.

    Args:
        data: ``(..., M, K)``.
        weights: ``(N / b, K, b)``.
        rounding: Whether more rows may be computed than there are.
    """
    blocks, depth, block = (int(size) for size in weights.shape)
    k = te.reduce_axis((0, depth), "k")

    def point(*place: Any) -> Any:
        *row, j = place
        weight = weights[j // block, k, j % block].astype(data.dtype)
        return te.sum(data[(*row, k)] * weight, axis=k)

    shape = (*data.shape[:-1], blocks * block)
    return computed(shape, len(shape) - 2, point, "matmul", rounding)


def called(
    builder: relax.BlockBuilder,
    call: Call,
    loops: Callable[[Any, Any], Any],
    packed: np.ndarray | GenericConst,
    name: str,
    kept: str = "",
) -> relax.Expr:
    """Calls loops over an operator's data and packed weights in place of the operator.

    Args:
        builder: Builder of the module.
        call: The operator's call.
        loops: Makes the operator's result from data and packed weights.
        packed: The weights.
        name: Name of the loops.
        kept: Type that the weights are kept in; empty for the type of the operator's result.
    """
    data, dtype = call.args[0], str(call.ty.dtype)
    kept = kept or dtype
    weights = packed if isinstance(packed, GenericConst) else constant(packed, kept)
    if not is_static(data.ty):
        return builder.call_te(loops, data, weights, primfunc_name_hint=name)
    x = te.placeholder(tuple(data.ty.shape), dtype, "data")
    w = te.placeholder(tuple(weights.ty.shape), kept, "weights")
    return tir_call(builder, call, [x, w, loops(x, w)], (data, weights), name)


def tir_call(
    builder: relax.BlockBuilder,
    call: Call,
    tensors: list[Any],
    args: tuple[relax.Expr, ...],
    name: str,
) -> relax.Expr:
    """Calls the loops between tensors in place of an operator that sums up products."""
    function = te.create_prim_func(tensors, "int64")
    function = function.without_attr("global_symbol").with_attr("op_pattern", OUTPUT_FUSABLE)
    variable = builder.add_func(function.with_attr("tirx.noalias", True), name)
    return relax.call_tir(variable, args, call.ty)
