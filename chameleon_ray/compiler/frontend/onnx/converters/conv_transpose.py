"""ConvTranspose whose output's shape is given, or whose padding follows from it."""

from collections.abc import Sequence
from dataclasses import replace

import onnx
from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node

FOLLOWING = ("auto_pad", "output_shape", "pads", "output_padding")
"""Attributes that one padding stands for."""


def conv_transpose(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts ConvTranspose by TVM's converter, with its padding written out."""
    given = node.attributes
    auto = given.get("auto_pad", "NOTSET")
    if "output_shape" in given or auto.startswith("SAME"):
        node = replace(node, proto=_padded(node, auto))
    return tvm_converters.convert(node)


def _padded(node: Node, auto: str) -> onnx.NodeProto:
    """Returns the node with ``pads`` and ``output_padding`` in place of the output's shape."""
    given = node.attributes
    lengths = extents(node.input(0))[2:]
    kernel = extents(node.input(1))[2:]
    count = len(lengths)
    strides, dilations = (given.get(name, [1] * count) for name in ("strides", "dilations"))
    extra = list(given.get("output_padding", [0] * count))
    sizes = given.get("output_shape") or [n * s for n, s in zip(lengths, strides, strict=True)]
    before, after = [], []
    for i, size in enumerate(sizes[-count:]):
        full = strides[i] * (lengths[i] - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1
        total = full - size
        half = total // 2 if auto == "SAME_UPPER" else total - total // 2
        if total < 0:  # more than there is: the rest is appended
            extra[i], half, total = extra[i] - total, 0, 0
        before.append(half)
        after.append(total - half)
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    kept = [one for one in node.proto.attribute if one.name not in FOLLOWING]
    del proto.attribute[:]
    proto.attribute.extend(kept)
    proto.attribute.append(helper.make_attribute("pads", [*before, *after]))
    proto.attribute.append(helper.make_attribute("output_padding", extra))
    return proto


CONVERTERS: dict[Key, Converter] = {("", "ConvTranspose"): conv_transpose}
