"""Turns convolutions and matrix products of small integers into loops over dot products.

The data are bytes less a zero point, ``subtract(astype(x, "int16"), zero)``, or integers of 8 or 16
bits as they are. The weights are constant, of 8 or 16 bits, and the sums of 32. Weights are packed
in blocks of b output channels and groups of the g products that an instruction adds to each sum,
``[O/b, H, W, I/g, b, g]``.

Instructions that multiply bytes want unsigned data. The zero point is left in them then, and the
edges are padded with it; what it adds to each channel's sum is constant, and subtracted from the
sum. Signed bytes become unsigned ones by adding 128, which makes the zero point so much larger. For
all other instructions the data become int16, less the zero point. Where every channel is by itself,
there is nothing for them to sum up, and float32 is exact and fast.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax, te
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.dot_products import SIGN, DotProduct, dot_product
from chameleon_ray.compiler.passes.integer_loops import (
    convolved,
    depthwise,
    multiplied,
    prepared,
    winograd,
)
from chameleon_ray.compiler.passes.pack_weights import NARROWEST, tir_call
from chameleon_ray.compiler.passes.winograd_cpu import WORTH, G, cost, steps_of
from chameleon_ray.compiler.relax import bindings_of, constant, is_static, operator, rewrite

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (0, 0)}
"""Types of data and weights, and the zero points that data of each may have."""
EXACT = 2**24
"""Integers smaller than this are exact in float32."""
MOST = 900
"""Most input channels of a convolution by Winograd's algorithm.

Data become at most 4 x 255 and weights at most 9 x 128. Two sums of such products fit int32.
"""

Values = Callable[[Any], Any]
"""Gives a variable's value; None for what is no variable, or an input."""


@dataclass(frozen=True)
class Source:
    """The small integers that a layer's data are made from.

    Attributes:
        tensor: The small integers.
        zero: Their zero point.
        axes: Permutation of their axes that makes them the layer's data; None where there is none.
    """

    tensor: relax.Expr
    zero: int = 0
    axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class IntegerLayer:
    """A convolution or product as loops.

    Attributes:
        name: Name of the loops.
        weights: Constant weights, as the loops take them.
        totals: Sum of all weights of each output channel.
        padding: Elements before and after each axis of the data.
        dtype: Type in which the data are multiplied.
        loops: Makes the sums from the data and the weights.
    """

    name: str
    weights: np.ndarray
    totals: np.ndarray
    padding: list[tuple[int, int]]
    dtype: str
    loops: Callable[[Any, Any], Any]


def integer_layers(mod: IRModule, rounding: bool = True) -> IRModule:
    """Legalises what the current target's dot products can sum up.

    Layers of unknown sizes, of channels that fill no vector, or of weights that are not constant
    are left alone.

    Args:
        mod: In NHWC; not legalised.
        rounding: Whether more rows or columns may be computed than there are, and workspaces taken
            for Winograd's algorithm.
    """
    value_of: Values = {binding.var: binding.value for binding in bindings_of(mod)}.get
    builder = relax.BlockBuilder(mod)

    def loops(binding: relax.Binding) -> relax.Expr:
        make, call = MAKERS.get(operator(binding.value)), binding.value
        if make is None or not _is_integer(call):
            return call
        source = _source(call.args[0], value_of)
        layer = source and make(call, source, rounding)
        return _called(builder, call, source, layer) if source and layer else call

    changed = rewrite(mod, loops)
    for variable, function in builder.get().functions.items():
        if variable not in changed.functions:
            changed[variable] = function
    return changed


def _is_integer(call: Call) -> bool:
    """Whether a call sums up products of data and constant weights that are small integers."""
    data, weights = call.args
    return (
        str(call.ty.dtype) == "int32"
        and str(weights.ty.dtype) in RANGES
        and isinstance(weights, GenericConst)
        and is_static(data.ty)
    )


def _source(data: Any, value_of: Values) -> Source | None:
    """Looks from a layer's data back to the small integers; None where there are none."""
    axes, zero, value = None, 0, value_of(data)
    if operator(value) == "relax.permute_dims" and value.attrs.axes is not None:
        data, axes = value.args[0], tuple(int(axis) for axis in value.attrs.axes)
        value = value_of(data)
    if operator(value) == "relax.subtract":
        data, zero = _less(data, value.args[0], value.args[1], value_of)
    return Source(data, zero, axes) if str(data.ty.dtype) in RANGES else None


def _less(data: Any, left: Any, right: Any, value_of: Values) -> tuple[Any, int]:
    """Looks for the bytes, and their zero point, that ``data``, which is ``left - right``, is of.

    Where there are none, ``data`` are as they are.
    """
    made = value_of(left)
    if operator(made) == "relax.astype" and isinstance(right, GenericConst) and right.ty.ndim == 0:
        tensor, zero = made.args[0], int(right.value.numpy())
        low, high = RANGES.get(str(tensor.ty.dtype), (1, 0))
        if low <= zero <= high:
            return tensor, zero
    return data, 0


def _matmul(call: Call, source: Source, rounding: bool) -> IntegerLayer | None:
    numbers, rank = call.args[1].value.numpy(), call.args[0].ty.ndim
    if numbers.ndim != 2 or rank < 2:
        return None
    dot = _dot(source, numbers, numbers.shape[1])
    if dot is None:
        return None
    loops = partial(multiplied, dot=dot, rounding=rounding)
    return _packed("matmul", numbers, [(0, 0)] * rank, dot, loops)


def _conv2d(call: Call, source: Source, rounding: bool) -> IntegerLayer | None:
    attrs, numbers = call.attrs, call.args[1].value.numpy()
    if (attrs.data_layout, attrs.kernel_layout, attrs.out_layout) != ("NHWC", "HWIO", "NHWC"):
        return None
    window = [[int(size) for size in sizes] for sizes in (attrs.strides, attrs.dilation)]
    top, left, bottom, right = (int(size) for size in attrs.padding)
    padding = [(0, 0), (top, bottom), (left, right), (0, 0)]
    groups, (_, _, inputs, filters) = int(attrs.groups), numbers.shape
    if inputs == 1 and groups == filters > 1:
        weights = numbers[:, :, 0].astype("float32")
        loops = partial(depthwise, window=window, rounding=rounding)
        made = IntegerLayer(
            "depthwise_conv2d", weights, _totals(numbers), padding, "float32", loops
        )
        return made if _suits_floats(source, weights) else None
    dot = _dot(source, numbers, filters // groups)
    if dot is None or (groups > 1 and inputs % dot.group):
        return None
    if rounding and groups == 1 and dot.group == 2 and _suits_winograd(call, source, numbers):
        return _winograd(call, numbers, padding, dot)
    loops = partial(convolved, window=window, groups=groups, dot=dot, rounding=rounding)
    return _packed("conv2d", numbers, padding, dot, loops)


def _suits_floats(source: Source, weights: np.ndarray) -> bool:
    """Whether all sums of products are integers that float32 has; weights are ``(..., O)``."""
    low, high = RANGES["uint8"]
    largest = (high - low) * np.abs(weights).sum(tuple(range(weights.ndim - 1))).max()
    return str(source.tensor.ty.dtype) != "int16" and bool(largest < EXACT)


def _suits_winograd(call: Call, source: Source, numbers: np.ndarray) -> bool:
    """Whether Winograd's algorithm saves much, and its numbers fit int16 and its sums int32."""
    height, width, inputs, outputs = numbers.shape
    if (height, width) != (3, 3) or steps_of(call) != {1} or inputs % NARROWEST:
        return False
    images, rows, columns, _ = (int(size) for size in call.ty.shape)
    if str(source.tensor.ty.dtype) == "int16" or np.abs(numbers).max() > SIGN:
        return False
    return inputs <= MOST and cost(2, (images, rows, columns), inputs, outputs) < WORTH


def _winograd(
    call: Call, numbers: np.ndarray, padding: list[tuple[int, int]], dot: DotProduct
) -> IntegerLayer:
    _, height, width, _ = (int(size) for size in call.ty.shape)
    _, *own, _ = (int(size) for size in call.args[0].ty.shape)
    wanted = [-(-size // 2) * 2 + 2 for size in (height, width)]
    sides = zip(own, padding[1:3], wanted, strict=True)
    padded = [(before, whole - before - size) for size, (before, _), whole in sides]
    twice = 2 * np.array(G[2])
    transformed = np.einsum("ai,ijcf,bj->abcf", twice, numbers, twice).astype("int64")
    loops = partial(winograd, sizes=(height, width), dot=dot)
    packed = _packed("winograd", transformed, [(0, 0), *padded, (0, 0)], dot, loops)
    return replace(packed, weights=np.moveaxis(packed.weights, 0, 2))


MAKERS = {"relax.nn.conv2d": _conv2d, "relax.matmul": _matmul}
"""Makes a layer of a call, given its data's source and whether extents may be rounded up."""


def _dot(source: Source, numbers: np.ndarray, channels: int) -> DotProduct | None:
    """Chooses the instruction for output channels of which so many have the same input channels."""
    low, high = RANGES["int8"]
    wide = str(source.tensor.ty.dtype) == "int16" or numbers.min() < low or numbers.max() > high
    return dot_product(tvm.target.Target.current(), channels, wide)


def _packed(
    name: str,
    numbers: np.ndarray,
    padding: list[tuple[int, int]],
    dot: DotProduct,
    loops: Callable[[Any, Any], Any],
) -> IntegerLayer:
    """Packs weights, ``(..., I, O)``; the missing inputs of the last group are zeros."""
    *window, inputs, filters = numbers.shape
    rank, missing = len(window), -inputs % dot.group
    longer = np.pad(numbers, [*[(0, 0)] * rank, (0, missing), (0, 0)])
    split = longer.reshape(*window, -1, dot.group, filters // dot.lanes, dot.lanes)
    weights = split.transpose(rank + 2, *range(rank), rank, rank + 3, rank + 1)
    padded = [*padding[:-1], (0, missing)]
    return IntegerLayer(
        name, weights.astype(dot.weights), _totals(numbers), padded, dot.data, loops
    )


def _totals(numbers: np.ndarray) -> np.ndarray:
    """Returns the sum of all weights of each output channel, which are on the last axis."""
    return numbers.astype("int64").sum(tuple(range(numbers.ndim - 1)))


def _called(
    builder: relax.BlockBuilder, call: Call, source: Source, layer: IntegerLayer
) -> relax.Expr:
    """Calls a layer's loops in place of its operator."""
    shape, dtype = [int(size) for size in call.args[0].ty.shape], str(source.tensor.ty.dtype)
    zero = source.zero + (SIGN if dtype == "int8" else 0)
    x = te.placeholder(shape, dtype, "data")
    w = te.placeholder(layer.weights.shape, str(layer.weights.dtype), "weights")
    data = prepared(x, layer.dtype, source.zero, layer.padding)
    tensors, args = [x, w], [_permuted(source), constant(layer.weights, str(layer.weights.dtype))]
    sums = layer.loops(data, w)
    if layer.dtype == "uint8" and zero:
        offsets = -zero * layer.totals
        b = te.placeholder(offsets.shape, "int32", "offsets")
        tensors, args = [*tensors, b], [*args, constant(offsets, "int32")]
        result = te.compute(sums.shape, lambda *i: sums(*i) + b[i[-1]], name="less_zero")
    else:
        result = sums
    return tir_call(builder, call, [*tensors, result], tuple(args), layer.name)


def _permuted(source: Source) -> relax.Expr:
    if source.axes is None:
        return source.tensor
    return relax.op.permute_dims(source.tensor, list(source.axes))
