"""The loops of convolutions and matrix products of small integers, in tensor expressions.

A block that an instruction does is marked with the instruction's name. Its innermost loop is over
the products that the instruction adds to each sum.
"""

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import te

from chameleon_ray.compiler.dot_products import MARK, SIGN, DotProduct
from chameleon_ray.compiler.passes.pad_extents import computed
from chameleon_ray.compiler.passes.winograd_cpu import transformed, transformed_back


def prepared(x: Any, dtype: str, zero: int, padding: Sequence[tuple[int, int]]) -> Any:
    """Computes a layer's data from small integers: in the type that it multiplies, and padded.

    Args:
        x: The integers, of uint8, int8 or int16.
        dtype: ``uint8`` to leave the zero point in, and 128 more where ``x`` is signed; ``int16``
            to subtract the zero point.
        zero: The zero point, with which the edges are padded.
        padding: Elements before and after, for each axis.
    """
    small, own = dtype == "uint8", str(x.dtype)
    edge = tvm.tirx.const(zero + (SIGN if own == "int8" else 0) if small else 0, dtype)
    if own == dtype and not any(map(any, padding)) and (small or not zero):
        return x

    def value(place: Sequence[Any]) -> Any:
        one = x[tuple(place)]
        if not small:
            one = one.astype(dtype)
            return one - tvm.tirx.const(zero, dtype) if zero else one
        return (one ^ tvm.tirx.const(-SIGN, "int8")).astype(dtype) if own == "int8" else one

    def padded(*place: Any) -> Any:
        inner, inside = [], []
        for index, size, (before, after) in zip(place, x.shape, padding, strict=True):
            inner.append(index - before if before else index)
            inside += [index >= before] if before else []
            inside += [index < size + before] if after else []
        return te.if_then_else(te.all(*inside), value(inner), edge) if inside else value(inner)

    shape = [size + sum(more) for size, more in zip(x.shape, padding, strict=True)]
    return te.compute(shape, padded, name="pad_temp")


def convolved(
    data: Any, weights: Any, window: list[list[int]], groups: int, dot: DotProduct, rounding: bool
) -> Any:
    """Convolves with packed weights, by the formula below.

    ``out[n, y, x, f] = sum data[n, y s + i d, x s + j d, p] weights[f // b, i, j, c, f % b, k]``,
    with ``p = c g + k``, counted from the first input channel of the output channel's group.

    Args:
        data: ``(N, H, W, C)``, padded.
        weights: ``(F / b, I, J, C / g, b, g)``, with the C of one group.
        window: Strides and dilations, each down and across.
        groups: Groups of channels, each convolved by itself; b divides the filters of one.
        dot: The instruction.
        rounding: Whether more columns may be computed than there are.
    """
    blocks, height, width, inputs = (int(size) for size in weights.shape[:4])
    extents = {"ry": height, "rx": width, "rc": inputs, "rk": dot.group}
    axes = [te.reduce_axis((0, extent), name) for name, extent in extents.items()]
    filters, (ry, rx, rc, rk) = blocks * dot.lanes, axes

    def point(n: Any, y: Any, x: Any, f: Any) -> Any:
        row, column = _place(window, (y, ry), (x, rx))
        first = f // (filters // groups) * inputs * dot.group if groups > 1 else 0
        one = data[n, row, column, first + rc * dot.group + rk].astype("int32")
        other = weights[f // dot.lanes, ry, rx, rc, f % dot.lanes, rk].astype("int32")
        return te.sum(one * other, axes)

    shape = (data.shape[0], *_sizes(data, (height, width), window), filters)
    return computed(shape, 2, point, "conv2d_nhwc", rounding, {MARK: dot.name})


def winograd(data: Any, weights: Any, sizes: tuple[int, int], dot: DotProduct) -> Any:
    """Convolves 3x3 by Winograd's algorithm, in tiles of 2x2 outputs; see ``winograd_cpu``.

    Integers are enough for it. What is half of the weights, or a quarter, is left whole, so the
    sums are divided by four, exactly.

    Args:
        data: ``(N, H, W, C)`` of int16, padded, also to whole tiles.
        weights: ``(4, 4, F / b, C / g, b, g)``, transformed, times four.
        sizes: Rows and columns of the output.
        dot: The instruction.
    """
    n, height, width, _ = (int(size) for size in data.shape)
    grid, filters = (n, height // 2 - 1, width // 2 - 1), int(weights.shape[2]) * dot.lanes
    tiles = transformed(data, 2, grid)
    rc, rk = te.reduce_axis((0, int(weights.shape[3])), "rc"), te.reduce_axis((0, dot.group), "rk")

    def product(i: Any, j: Any, b: Any, y: Any, x: Any, f: Any) -> Any:
        one = tiles[b, y, x, i, j, rc * dot.group + rk].astype("int32")
        other = weights[i, j, f // dot.lanes, rc, f % dot.lanes, rk].astype("int32")
        return te.sum(one * other, [rc, rk])

    shape = (4, 4, *grid, filters)
    products = te.compute(shape, product, name="winograd_products", attrs={MARK: dot.name})
    outputs = transformed_back(products, 2, grid)
    return te.compute(
        (n, *sizes, filters),
        lambda b, y, x, f: outputs[b, y // 2, x // 2, y % 2, x % 2, f] >> 2,
        name="winograd",
    )


def depthwise(data: Any, weights: Any, window: list[list[int]], rounding: bool) -> Any:
    """Convolves every channel by itself: ``sum data[n, y s + i d, x s + j d, f] weights[i, j, f]``.

    Args:
        data: ``(N, H, W, F)``, padded.
        weights: ``(I, J, F)``.
        window: Strides and dilations, each down and across.
        rounding: Whether more columns may be computed than there are.
    """
    height, width, channels = (int(size) for size in weights.shape)
    ry, rx = te.reduce_axis((0, height), "ry"), te.reduce_axis((0, width), "rx")

    def point(n: Any, y: Any, x: Any, f: Any) -> Any:
        row, column = _place(window, (y, ry), (x, rx))
        one = data[n, row, column, f].astype("int32")
        return te.sum(one * weights[ry, rx, f].astype("int32"), [ry, rx])

    shape = (data.shape[0], *_sizes(data, (height, width), window), channels)
    return computed(shape, 2, point, "depthwise_conv2d_nhwc", rounding)


def multiplied(data: Any, weights: Any, dot: DotProduct, rounding: bool) -> Any:
    """Multiplies a matrix by packed weights, by the formula below.

    ``out[..., i, j] = sum data[..., i, c g + k] weights[j // b, c, j % b, k]``

    Args:
        data: ``(..., M, K)``.
        weights: ``(N / b, K / g, b, g)``.
        dot: The instruction.
        rounding: Whether more rows may be computed than there are.
    """
    blocks, groups = (int(size) for size in weights.shape[:2])
    rc, rk = te.reduce_axis((0, groups), "rc"), te.reduce_axis((0, dot.group), "rk")

    def point(*place: Any) -> Any:
        *row, j = place
        one = data[(*row, rc * dot.group + rk)].astype("int32")
        return te.sum(
            one * weights[j // dot.lanes, rc, j % dot.lanes, rk].astype("int32"), [rc, rk]
        )

    shape = (*data.shape[:-1], blocks * dot.lanes)
    return computed(shape, len(shape) - 2, point, "matmul", rounding, {MARK: dot.name})


def _place(window: list[list[int]], *axes: tuple[Any, Any]) -> list[Any]:
    """Returns the row and column of the data for a place in the output and one in the kernel."""
    return [
        index * stride + offset * step
        for (index, offset), stride, step in zip(axes, *window, strict=True)
    ]


def _sizes(data: Any, kernel: tuple[int, int], window: list[list[int]]) -> list[Any]:
    """Returns a convolution's rows and columns."""
    return [
        (size - (extent - 1) * step - 1) // stride + 1
        for size, extent, stride, step in zip(data.shape[1:3], kernel, *window, strict=True)
    ]
