"""DeformConv: a convolution that reads its input at displaced positions (Dai et al., 2017)."""

from typing import Any

import numpy as np
from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def deform_conv(node: Node) -> relax.Expr:
    """Converts DeformConv of pictures: displaced positions are read, then multiplied."""
    given = node.attributes
    data, weights, offset = (node.input(place) for place in range(3))
    groups, parts = given.get("group", 1), given.get("offset_group", 1)
    batch = int(data.ty.shape[0])
    filters, depth, height, width = extents(weights)
    rows, columns = extents(offset)[2:]
    window = [given.get("strides", [1, 1]), given.get("pads", [0] * 4)[:2]]
    window.append(given.get("dilations", [1, 1]))
    mask = node.optional(4)
    if mask is None:
        shape = (batch, parts * height * width, rows, columns)
        mask = constant(np.ones(shape), str(data.ty.dtype))
    read = node.emit(
        node.builder.call_te(
            *(_displaced, data, offset, mask, parts, (height, width), window),
            primfunc_name_hint="deformed",
        )
    )
    points = [batch, groups, depth * height * width, rows * columns]
    read = node.emit(relax.op.reshape(read, points))
    matrix = [groups, filters // groups, depth * height * width]
    product = node.emit(relax.op.matmul(node.emit(relax.op.reshape(weights, matrix)), read))
    value = node.emit(relax.op.reshape(product, [batch, filters, rows, columns]))
    bias = node.optional(3)
    if bias is None:
        return value
    return relax.op.add(value, node.emit(relax.op.reshape(bias, [1, -1, 1, 1])))


def _displaced(
    data: Any, offset: Any, mask: Any, parts: int, kernel: tuple[int, int], window: list[list[int]]
) -> Any:
    """Reads, between pixels, what every element of the kernel meets; outside there are zeros.

    Args:
        data: ``(N, C, H, W)``.
        offset: ``(N, parts * kernel * 2, rows, columns)``: down and across in turns.
        mask: ``(N, parts * kernel, rows, columns)``: factors.
        parts: Number of groups of channels that have offsets of their own.
        kernel: Height and width of the kernel.
        window: Strides, padding before, and dilations, each down and across.

    Returns:
        ``(N, C, kernel, rows, columns)``.
    """
    batch, channels, _, _ = data.shape
    count = kernel[0] * kernel[1]

    def point(n: Any, c: Any, k: Any, row: Any, column: Any) -> Any:
        part = c // (channels // parts)
        down, across = (
            (place * step - pad + element * dilation).astype(data.dtype)
            + offset[n, (part * count + k) * 2 + axis, row, column]
            for axis, (place, element, step, pad, dilation) in enumerate(
                zip((row, column), (k // kernel[1], k % kernel[1]), *window, strict=True)
            )
        )
        return _between(data, n, c, down, across) * mask[n, part * count + k, row, column]

    shape = (batch, channels, count, offset.shape[2], offset.shape[3])
    return te.compute(shape, point, "deformed")


def _between(data: Any, n: Any, c: Any, down: Any, across: Any) -> Any:
    """Reads a picture between pixels, linearly in both directions."""
    _, _, height, width = data.shape
    top, left = te.floor(down), te.floor(across)
    below, right = down - top, across - left

    def pixel(y: Any, x: Any) -> Any:
        inside = tirx.all(y >= 0, y < height, x >= 0, x < width)
        value = data[n, c, te.max(te.min(y, height - 1), 0), te.max(te.min(x, width - 1), 0)]
        return tirx.if_then_else(inside, value, tirx.const(0, data.dtype))

    y, x = top.astype("int64"), left.astype("int64")
    upper = pixel(y, x) * (1 - right) + pixel(y, x + 1) * right
    lower = pixel(y + 1, x) * (1 - right) + pixel(y + 1, x + 1) * right
    return upper * (1 - below) + lower * below


CONVERTERS: dict[Key, Converter] = {("", "DeformConv"): deform_conv}
