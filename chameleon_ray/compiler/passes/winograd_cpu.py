"""Winograd's minimal filtering for 3x3 convolutions on CPUs.

Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016: a tile of m x m
outputs is ``A^T [(G g G^T) * (B^T d B)] A`` of the kernel g and the (m + 2) x (m + 2) inputs d. The
channels are summed where ``*`` stands, so each of the (m + 2)^2 places of a tile has a matrix
product. Per output there are (m + 2)^2 / m^2 multiplications and not 9, which is 4 with m = 2, and
2.25 with m = 4. Weights are transformed and packed ahead of time.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, topi
from tvm.ir import Call

from chameleon_ray.compiler.passes import pack_weights
from chameleon_ray.compiler.relax import is_static

Matrix = Sequence[Sequence[float]]

A: dict[int, Matrix] = {
    2: ((1, 1, 1, 0), (0, 1, -1, -1)),
    4: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
}
"""The matrices A^T by m."""
B: dict[int, Matrix] = {
    2: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
"""The matrices B^T by m."""
G: dict[int, Matrix] = {
    2: ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    4: (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
}
"""The matrices G by m."""
DTYPE = "float32"
"""Type of the convolutions that are computed by Winograd's algorithm."""
FETCH = 15
"""Multiplications in the time that one weight takes from memory."""
TRANSFORM = 6
"""Multiplications in the time that one place of a tile takes to be transformed."""
WORTH = 0.6
"""Greatest cost, over that of the plain convolution, at which Winograd's algorithm is chosen."""
NEAR = 1.4
"""Greatest cost, over the least, at which an algorithm is worth measuring."""
PLAIN = 0
"""Stands for m where a convolution is computed plainly."""


def conv2d(builder: relax.BlockBuilder, call: Call, choice: int = 0) -> relax.Expr:
    """Legalises a 2-D convolution, by Winograd's algorithm where that saves much.

    Args:
        builder: Builder of the module.
        call: The operator's call.
        choice: Number of the algorithm among ``algorithms``; the first where there are fewer.
    """
    found = algorithms(call)
    tile = found[choice if choice < len(found) else 0]
    if tile == PLAIN:
        return pack_weights.conv2d(builder, call)
    weights = call.args[1]
    block = pack_weights.lanes(int(call.ty.shape[3]), DTYPE)
    kernel = weights.value.numpy().astype("float64")
    transform = np.array(G[tile])
    moved = np.einsum("ai,ijcf,bj->abcf", transform, kernel, transform)
    moved = moved.reshape(*moved.shape[:3], -1, block).transpose(0, 1, 3, 2, 4)
    tiled = partial(loops, m=tile, padding=[int(size) for size in call.attrs.padding])
    return pack_weights.called(builder, call, tiled, moved, "winograd")


def steps_of(call: Call) -> set[int]:
    """Returns the strides and dilations of a convolution."""
    return {int(step) for step in (*call.attrs.strides, *call.attrs.dilation)}


def algorithms(call: Call) -> tuple[int, ...]:
    """Returns the algorithms worth measuring for a convolution, each as its m; at least one.

    The first is the one to choose without measuring: the m that saves most, or ``PLAIN`` where none
    is worth it. The costs compared are multiplications, over those of one pixel's input and output
    channels. The time of fetching a weight and of transforming a tile is counted in
    multiplications, too.
    """
    whole = call.attrs.groups == 1 and pack_weights.is_packable(call)
    if not whole or not _has_tiles(call):
        return (PLAIN,)
    _, _, inputs, outputs = (int(size) for size in call.args[1].ty.shape)
    images, rows, columns, _ = (int(size) for size in call.ty.shape)
    costs = {m: cost(m, (images, rows, columns), inputs, outputs) for m in A}
    first = min(A, key=lambda m: costs[m])
    first = first if costs[first] < WORTH else PLAIN
    costs[PLAIN] = 1.0
    near = [m for m in costs if m != first and costs[m] <= NEAR * min(costs.values())]
    return (first, *sorted(near, key=lambda m: costs[m]))


def _has_tiles(call: Call) -> bool:
    """Whether Winograd's algorithm fits a convolution whose weights can be packed."""
    height, width, inputs, outputs = (int(size) for size in call.args[1].ty.shape)
    steps = steps_of(call)
    dtype, static = str(call.ty.dtype), is_static(call.ty, call.args[0].ty)
    if (height, width) != (3, 3) or steps != {1} or dtype != DTYPE or not static:
        return False
    narrowest = min(pack_weights.lanes(inputs, DTYPE), pack_weights.lanes(outputs, DTYPE))
    return narrowest >= pack_weights.NARROWEST


def cost(m: int, pixels: tuple[int, int, int], inputs: int, outputs: int) -> float:
    """Returns the cost of a convolution by Winograd's algorithm, over that of the plain one.

    Args:
        m: Outputs of a tile in each direction.
        pixels: Images of the output, their rows and their columns.
        inputs: Number of input channels.
        outputs: Number of output channels.
    """
    images, rows, columns = pixels
    plain = 9 * (images * rows * columns + FETCH)
    tiles = images * math.ceil(rows / m) * math.ceil(columns / m)
    transforms = TRANSFORM * (1 / inputs + 1 / outputs)
    return (m + 2) ** 2 * (tiles * (1 + transforms) + FETCH) / plain


def loops(data: Any, weights: Any, m: int, padding: Sequence[int]) -> Any:
    """Computes a convolution's output, ``(N, H, W, F)``.

    Args:
        data: ``(N, H, W, C)``.
        weights: ``(m + 2, m + 2, F / b, C, b)``, transformed.
        m: Outputs of a tile in each direction.
        padding: Top, left, bottom, right.
    """
    n, height, width, channels = (int(size) for size in data.shape)
    side, block = m + 2, int(weights.shape[4])
    filters, (top, left, bottom, right) = int(weights.shape[2]) * block, padding
    rows, columns = height + top + bottom - 2, width + left + right - 2
    grid = (n, math.ceil(rows / m), math.ceil(columns / m))
    after = [0, grid[1] * m + 2 - height - top, grid[2] * m + 2 - width - left, 0]
    tiles = transformed(topi.nn.pad(data, [0, top, left, 0], after, name="pad_temp"), m, grid)
    rc = te.reduce_axis((0, channels), "rc")
    products = te.compute(
        (side, side, *grid, filters),
        lambda i, j, b, y, x, f: te.sum(
            tiles[b, y, x, i, j, rc] * weights[i, j, f // block, rc, f % block], axis=rc
        ),
        name="winograd_products",
    )
    outputs = transformed_back(products, m, grid)
    return te.compute(
        (n, rows, columns, filters),
        lambda b, y, x, f: outputs[b, y // m, x // m, y % m, x % m, f],
        name="winograd",
    )


def transformed(padded: Any, m: int, grid: tuple[int, ...]) -> Any:
    """Computes ``B^T d B`` of the tiles of an input: ``(*grid, m + 2, m + 2, C)``."""
    shape = (*grid, m + 2, m + 2, padded.shape[3])
    half = te.compute(
        shape,
        lambda b, y, x, i, j, c: row(B[m], i, lambda k: padded(b, y * m + k, x * m + j, c)),
        name="winograd_rows",
    )
    return te.compute(
        shape,
        lambda b, y, x, i, j, c: row(B[m], j, lambda k: half(b, y, x, i, k, c)),
        name="winograd_tiles",
    )


def transformed_back(products: Any, m: int, grid: tuple[int, ...]) -> Any:
    """Computes ``A^T p A`` of the products of tiles: ``(*grid, m, m, F)``."""
    filters = products.shape[5]
    half = te.compute(
        (*grid, m, m + 2, filters),
        lambda b, y, x, i, j, f: row(A[m], i, lambda k: products(k, j, b, y, x, f)),
        name="winograd_columns",
    )
    return te.compute(
        (*grid, m, m, filters),
        lambda b, y, x, i, j, f: row(A[m], j, lambda k: half(b, y, x, i, k, f)),
        name="winograd_outputs",
    )


def row(matrix: Matrix, number: Any, value: Callable[[int], Any]) -> Any:
    """Multiplies one row of a matrix, by its number at run time, by the vector of the values."""
    first, *others = (_dot(row, value) for row in reversed(matrix))
    for place, other in zip(reversed(range(len(others))), others, strict=True):
        first = te.if_then_else(number == place, other, first)
    return first


def _dot(row: Sequence[float], value: Callable[[int], Any]) -> Any:
    """Multiplies a row by a vector, without multiplications by 0 and 1.

    ``value`` is asked only for places whose factor is not 0.
    """
    total: Any = None
    for place, factor in enumerate(row):
        if factor:
            size = tvm.tirx.const(float(abs(factor)), DTYPE)
            term = value(place) if abs(factor) == 1 else value(place) * size
            if total is None:
                total = term if factor > 0 else tvm.tirx.const(0, str(term.ty)) - term
            else:
                total = total + term if factor > 0 else total - term
    return total
