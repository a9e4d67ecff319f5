"""Recognises matrix products, which cuBLASLt computes, and cuDNN as convolutions of pixels."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from chameleon_ray.compiler.spaces.vendor.layer import (
    CUBLASLT,
    CUDNN,
    Call,
    Layer,
    demand,
    is_index,
    shape_of,
)

ACTIVATIONS = ("none", "relu", "gelu_tanh")
"""Activations that cuBLASLt applies."""
PLAIN = (1, 1, 1, 0, 0, 0, 0, 1, 1)
"""Geometry of a convolution of single pixels with channels last."""


def products(layer: Layer) -> list[Call]:
    """Describes a matrix product, of one matrix or of a batch."""
    demand(len(layer.spatial) >= 2)
    *batch, row, column = layer.spatial
    (depth,) = layer.reduced
    left, right = layer.loads
    if not _is_at(right, column, depth)[0]:
        left, right = right, left
    turned_left, turned_right = _turned(left, row, depth), not _turned(right, depth, column, True)
    extents, many = layer.extents, prod(layer.extents[:-2])
    rows, columns, length = extents[-2], extents[-1], layer.kernel[0]
    demand(_batched(left, batch, extents))
    shared = not _batched(right, batch, extents)
    demand(not shared or prod(shape_of(right.source)) == columns * length)
    if shared and many > 1:  # all rows of the batch are the rows of one matrix
        demand(not turned_left)
        rows, many = rows * many, 1
    operands = (layer.parameter(left.source), layer.parameter(right.source))
    geometry = (
        *(many, rows, columns, length, int(turned_left), int(turned_right)),
        *(rows * length, 0 if shared else columns * length),
    )
    shapes = (shape_of(left.source), shape_of(right.source), tuple(extents))
    epilogue = layer.epilogue(len(extents) - 1)
    call = Call(CUBLASLT, "matmul", operands, shapes, epilogue, False, geometry)
    call = layer.checked(call)
    found = by_cublaslt(layer, call)
    if many == 1 and turned_right and not turned_left and epilogue.scale == 1:
        pixels = ((1, 1, rows, length), (columns, 1, 1, length), (1, 1, rows, columns))
        found.append(replace(call, library=CUDNN, function="conv2d", shapes=pixels, geometry=PLAIN))
    return found


def by_cublaslt(layer: Layer, call: Call) -> list[Call]:
    """Returns a product as a call of cuBLASLt, if that has its epilogue.

    The bias and the residual must be of the output's type. On 16 bits its approximate GELU is as
    good as the exact one.
    """
    epilogue, output = call.epilogue, str(layer.parameters[-1].dtype)
    added = [n for n in (epilogue.bias, epilogue.residual) if n is not None]
    if any(str(layer.parameters[n].dtype) != output for n in added):
        return []
    known = epilogue.activation in ACTIVATIONS
    if not known and not (epilogue.activation == "gelu" and output != "float32"):
        return []
    return [call]


def _turned(load: Any, outer: Any, inner: Any, right: bool = False) -> bool:
    """Whether the last two axes of a load are (inner, outer); for ``right`` whether they are not.

    Raises:
        Unknown: They are something else.
    """
    a, b = load.indices[-2:] if len(load.indices) > 1 else (None, None)
    straight = is_index(a, outer, load, -2) and is_index(b, inner, load, -1)
    turned = is_index(a, inner, load, -2) and is_index(b, outer, load, -1)
    demand(straight or turned)
    return straight if right else not straight


def _is_at(load: Any, *variables: Any) -> tuple[bool, ...]:
    return tuple(any(index.same_as(v) for index in load.indices) for v in variables)


def _batched(load: Any, batch: Sequence[Any], extents: Sequence[int]) -> bool:
    """Whether a load has all axes of the batch before its last two."""
    own, shape = list(load.indices[:-2]), shape_of(load.source)
    wide = [(v, n) for v, n in zip(batch, extents, strict=False) if n > 1]
    used = [(index, n) for index, n in zip(own, shape, strict=False) if n > 1]
    return len(wide) == len(used) and all(
        index.same_as(v) and n == m for (v, n), (index, m) in zip(wide, used, strict=True)
    )
