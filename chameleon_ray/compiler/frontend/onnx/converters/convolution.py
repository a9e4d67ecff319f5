"""Convolutions whose padding is automatic.

TVM makes loops of the padding, which passes over operators cannot see through.
"""

from collections.abc import Sequence
from dataclasses import replace

from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def conv(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts Conv, with automatic padding as a number of elements on each side."""
    if node.attributes.get("auto_pad", "NOTSET") == "NOTSET":
        return tvm_converters.convert(node)
    attributes = {name: given for name, given in node.attributes.items() if name != "auto_pad"}
    attributes["pads"] = pads_of(node)
    proto = helper.make_node(
        "Conv", list(node.proto.input), list(node.proto.output), node.proto.name, **attributes
    )
    return tvm_converters.convert(replace(node, proto=proto, attributes=attributes))


def pads_of(node: Node) -> list[int]:
    """Returns how many elements a convolution has before each axis, and then after each."""
    free = node.input(0).ty.ndim - 2
    automatic = node.attributes.get("auto_pad", "NOTSET")
    if automatic in ("NOTSET", "VALID"):
        given = node.attributes.get("pads") if automatic == "NOTSET" else None
        return list(given or [0] * 2 * free)
    strides = node.attributes.get("strides", [1] * free)
    dilations = node.attributes.get("dilations", [1] * free)
    lengths = extents(node.input(0))[2:]
    window = extents(node.input(1))[2:]
    before, after = [], []
    for length, size, stride, dilation in zip(lengths, window, strides, dilations, strict=True):
        covered = (-(-length // stride) - 1) * stride + (size - 1) * dilation + 1
        missing = max(covered - length, 0)
        less, more = missing // 2, missing - missing // 2
        before.append(more if automatic == "SAME_LOWER" else less)
        after.append(less if automatic == "SAME_LOWER" else more)
    return before + after


CONVERTERS: dict[Key, Converter] = {("", "Conv"): conv}
