"""Windows of pooling operators: sizes, steps and padding, by ONNX's rules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper

from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Node

RESOLVED = ("auto_pad", "ceil_mode", "pads")
"""Attributes that explicit padding stands for."""


@dataclass(frozen=True)
class Window:
    """A pooling window along one axis.

    Attributes:
        kernel: Number of elements in it.
        stride: Distance of neighbouring windows.
        dilation: Distance of neighbouring elements in it.
        before: Padding before the first element.
        declared: Padding behind the last element that the model asks for.
        size: Number of windows.
    """

    kernel: int
    stride: int
    dilation: int
    before: int
    declared: int
    size: int

    def after(self, length: int) -> int:
        """Returns the padding that the last window needs behind an axis of a length."""
        reach = (self.size - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return max(0, reach - self.before - length)

    def counted(self, length: int) -> np.ndarray:
        """Returns how many elements of each window lie on the axis or its declared padding."""
        places = (
            np.arange(self.size)[:, None] * self.stride + np.arange(self.kernel) * self.dilation
        )
        return (places < self.before + length + self.declared).sum(1)


def windows(node: Node) -> list[Window]:
    """Returns the windows of a pooling operator, axis by axis; automatic padding is worked out."""
    lengths = extents(node.input(0))[2:]
    given, count = node.attributes, len(lengths)
    kernel = given["kernel_shape"]
    strides, dilations = (given.get(name, [1] * count) for name in ("strides", "dilations"))
    pads = given.get("pads", [0] * 2 * count)
    auto, ceil = given.get("auto_pad", "NOTSET"), given.get("ceil_mode", 0)
    found = []
    for place, length in enumerate(lengths):
        span = (kernel[place] - 1) * dilations[place] + 1
        step, before, after = strides[place], pads[place], pads[count + place]
        if auto.startswith("SAME"):
            size = -(-length // step)
            total = max(0, (size - 1) * step + span - length)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        else:
            before, after = (0, 0) if auto == "VALID" else (before, after)
            room = length + before + after - span
            size = (-(-room // step) if ceil else room // step) + 1
            size -= ceil and (size - 1) * step >= length + before  # it would begin in the padding
        one = Window(kernel[place], step, dilations[place], before, after, int(size))
        found.append(one)
    return found


def with_padding(node: Node, found: Sequence[Window]) -> Node:
    """Returns the node with just the padding that its windows need, and nothing to round up."""
    lengths = extents(node.input(0))[2:]
    before = [window.before for window in found]
    after = [window.after(length) for window, length in zip(found, lengths, strict=True)]
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    kept = [one for one in node.proto.attribute if one.name not in RESOLVED]
    del proto.attribute[:]
    proto.attribute.extend([*kept, helper.make_attribute("pads", [*before, *after])])
    return replace(node, proto=proto)
