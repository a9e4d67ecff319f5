"""Operators that move blocks: SpaceToDepth, and Col2Im, which sums up where they overlap."""

from itertools import product
from math import prod

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def space_to_depth(node: Node) -> relax.Expr:
    """Converts SpaceToDepth; a channel's block is together with mode ``CRD``, else apart."""
    block = node.attributes["blocksize"]
    batch, channels, height, width = extents(node.input(0))
    split = [batch, channels, height // block, block, width // block, block]
    by_channel = node.attributes.get("mode", "DCR") == "CRD"
    order = [0, 1, 3, 5, 2, 4] if by_channel else [0, 3, 5, 1, 2, 4]
    value = node.emit(relax.op.reshape(node.input(0), split))
    value = node.emit(relax.op.permute_dims(value, order))
    shape = [batch, channels * block * block, height // block, width // block]
    return relax.op.reshape(value, shape)


def col2im(node: Node) -> relax.Expr:
    """Converts Col2Im: every column is a block, which is added at its place in the picture."""
    image = [int(n) for n in node.constant(1, "image_shape")]
    block = [int(n) for n in node.constant(2, "block_shape")]
    count = len(image)
    given = node.attributes
    dilations, strides = (given.get(name, [1] * count) for name in ("dilations", "strides"))
    pads = given.get("pads", [0] * 2 * count)
    batch, rows, columns = extents(node.input(0))
    channels = rows // prod(block)
    padded = [n + pads[i] + pads[count + i] for i, n in enumerate(image)]
    steps = [
        (n - dilation * (size - 1) - 1) // stride + 1
        for n, size, dilation, stride in zip(padded, block, dilations, strides, strict=True)
    ]
    places = np.arange(prod(padded)).reshape(padded)
    table = np.stack(
        [
            places[
                tuple(
                    slice(o * d, o * d + (n - 1) * s + 1, s)
                    for o, d, n, s in zip(offset, dilations, steps, strides, strict=True)
                )
            ].ravel()
            for offset in product(*map(range, block))
        ]
    ).ravel()
    flat = node.emit(relax.op.reshape(node.input(0), [batch * channels, prod(block) * columns]))
    indices = np.broadcast_to(table, (batch * channels, table.size))
    dtype = str(node.input(0).ty.dtype)
    empty = relax.op.zeros([batch * channels, prod(padded)], dtype)
    summed = node.emit(
        relax.op.scatter_elements(node.emit(empty), constant(indices, "int64"), flat, 1, "add")
    )
    value = node.emit(relax.op.reshape(summed, [batch, channels, *padded]))
    axes = list(range(2, 2 + count))
    ends = [pads[i] + n for i, n in enumerate(image)]
    return relax.op.strided_slice(value, axes, pads[:count], ends)


CONVERTERS: dict[Key, Converter] = {
    ("", "SpaceToDepth"): space_to_depth,
    ("", "Col2Im"): col2im,
}
