"""Winograd's algorithm for CUDA, in NCHW.

The algorithm is that of ``winograd_cpu.py``, but nothing is packed. Inputs, weights and products of
tiles are matrices of channels by tiles, one after the other for each place of a tile. So
neighbouring threads read neighbouring elements. The choice of convolutions and of tiles is that of
AutoTVM and its tutorials.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from tvm import relax, te, topi
from tvm.ir import Call, GenericConst

from chameleon_ray.compiler.passes.pack_weights import called
from chameleon_ray.compiler.passes.winograd_cpu import DTYPE, A, B, G, row, steps_of
from chameleon_ray.compiler.relax import is_static

LEAST = 64
"""Fewest input channels for which the algorithm is worth its transforms."""


def conv2d(builder: relax.BlockBuilder, call: Call) -> relax.Expr:
    """Legalises a 2-D convolution, by Winograd's algorithm where it has many input channels."""
    if not is_suitable(call):
        return call.op.get_attr("FLegalize")(builder, call)
    data, weights = call.args
    m = 2 if int(data.ty.shape[2]) % 8 else 4
    transform = np.array(G[m])
    kernel = weights.value.numpy().astype("float64")
    moved = np.einsum("ai,fcij,bj->abcf", transform, kernel, transform)
    tiled = partial(loops, m=m, padding=[int(size) for size in call.attrs.padding])
    return called(builder, call, tiled, moved, "winograd")


def is_suitable(call: Call) -> bool:
    """Whether the algorithm may be worth its transforms for a 2-D convolution."""
    attrs, (data, weights) = call.attrs, call.args
    kinds = {str(value.ty.dtype) for value in (call, data, weights)}
    if not isinstance(weights, GenericConst) or kinds != {DTYPE} or not is_static(call.ty, data.ty):
        return False
    layouts = (attrs.data_layout, attrs.kernel_layout, attrs.out_layout)
    shape = [int(size) for size in weights.ty.shape]
    return (
        layouts == ("NCHW", "OIHW", "NCHW")
        and attrs.groups == 1
        and steps_of(call) == {1}
        and shape[2:] == [3, 3]
        and shape[1] >= LEAST
    )


def loops(data: Any, weights: Any, m: int, padding: Sequence[int]) -> Any:
    """Computes a convolution's output, ``(N, F, H, W)``.

    Args:
        data: ``(N, C, H, W)``.
        weights: ``(m + 2, m + 2, C, F)``, transformed.
        m: Outputs of a tile in each direction.
        padding: Top, left, bottom, right.
    """
    n, channels, height, width = (int(size) for size in data.shape)
    side, filters, (top, left, bottom, right) = m + 2, int(weights.shape[3]), padding
    rows, columns = height + top + bottom - 2, width + left + right - 2
    down, across = math.ceil(rows / m), math.ceil(columns / m)
    after = [0, 0, down * m + 2 - height - top, across * m + 2 - width - left]
    padded = topi.nn.pad(data, [0, 0, top, left], after, name="pad_temp")
    count = n * down * across
    tiles = _transformed(padded, m, (count, down, across))
    rc = te.reduce_axis((0, channels), "rc")
    products = te.compute(
        (side, side, filters, count),
        lambda i, j, f, p: te.sum(weights[i, j, rc, f] * tiles[i, j, rc, p], axis=rc),
        name="winograd_products",
    )
    outputs = _transformed_back(products, m)
    return te.compute(
        (n, filters, rows, columns),
        lambda b, f, y, x: outputs[y % m, x % m, f, (b * down + y // m) * across + x // m],
        name="winograd",
    )


def _transformed(padded: Any, m: int, grid: tuple[int, int, int]) -> Any:
    """Computes ``B^T d B`` of the tiles of an input: ``(m + 2, m + 2, C, tiles)``."""
    count, down, across = grid
    shape = (m + 2, m + 2, padded.shape[1], count)

    def value(p: Any, c: Any, k: Any, j: Any) -> Any:
        y, x = p // across % down, p % across
        return padded(p // (down * across), c, y * m + k, x * m + j)

    half = te.compute(
        shape,
        lambda i, j, c, p: row(B[m], i, lambda k: value(p, c, k, j)),
        name="winograd_rows",
    )
    return te.compute(
        shape,
        lambda i, j, c, p: row(B[m], j, lambda k: half(i, k, c, p)),
        name="winograd_tiles",
    )


def _transformed_back(products: Any, m: int) -> Any:
    """Computes ``A^T p A`` of the products of tiles: ``(m, m, F, tiles)``."""
    filters, count = products.shape[2:]
    half = te.compute(
        (m, m + 2, filters, count),
        lambda i, j, f, p: row(A[m], i, lambda k: products(k, j, f, p)),
        name="winograd_columns",
    )
    return te.compute(
        (m, m, filters, count),
        lambda i, j, f, p: row(A[m], j, lambda k: half(i, k, f, p)),
        name="winograd_outputs",
    )
