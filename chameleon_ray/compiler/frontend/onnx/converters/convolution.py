"""Convolutions whose padding is automatic.

TVM makes loops of the padding, which passes over operators cannot see through.
"""

from collections.abc import Sequence
from dataclasses import replace

from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def conv(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts Conv, with automatic padding as a number of elements on each side."""
    convert = tvm_converters.converter("Conv")
    if convert is None:
        raise Untranslatable("TVM converts no convolutions; export the model without it")
    if node.attributes.get("auto_pad", "NOTSET") == "NOTSET":
        return convert(node)
    attributes = {name: given for name, given in node.attributes.items() if name != "auto_pad"}
    attributes["pads"] = pads_of(node)
    proto = helper.make_node(
        "Conv", list(node.proto.input), list(node.proto.output), node.proto.name, **attributes
    )
    return convert(replace(node, proto=proto, attributes=attributes))


def pads_of(node: Node) -> list[int]:
    """Returns how many elements a convolution has before each axis, and then after each."""
    free = node.input(0).ty.ndim - 2
    automatic = node.attributes.get("auto_pad", "NOTSET")
    if automatic in ("NOTSET", "VALID"):
        given = node.attributes.get("pads") if automatic == "NOTSET" else None
        return list(given or [0] * 2 * free)
    strides = node.attributes.get("strides", [1] * free)
    dilations = node.attributes.get("dilations", [1] * free)
    extents = [int(size) for size in node.input(0).ty.shape][2:]
    window = [int(size) for size in node.input(1).ty.shape][2:]
    before, after = [], []
    for extent, size, stride, dilation in zip(extents, window, strides, dilations, strict=True):
        covered = (-(-extent // stride) - 1) * stride + (size - 1) * dilation + 1
        missing = max(covered - extent, 0)
        less, more = missing // 2, missing - missing // 2
        before.append(more if automatic == "SAME_LOWER" else less)
        after.append(less if automatic == "SAME_LOWER" else more)
    return before + after


CONVERTERS: dict[Key, Converter] = {("", "Conv"): conv}
