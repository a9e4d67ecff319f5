"""MaxPool with the places of the largest values, which TVM's own operator does not tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


@dataclass(frozen=True)
class Window:
    """A pooling window along one axis.

    Attributes:
        kernel: Number of elements in it.
        stride: Distance of neighbouring windows.
        dilation: Distance of neighbouring elements in it.
        before: Padding before the first element.
        size: Number of windows.
    """

    kernel: int
    stride: int
    dilation: int
    before: int
    size: int

    def after(self, length: int) -> int:
        """Returns the padding that the last window needs behind an axis of a length."""
        reach = (self.size - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return max(0, reach - self.before - length)


def max_pool(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts MaxPool; TVM's converter does it where only the values are wanted."""
    if len([name for name in node.proto.output if name]) < 2:
        return tvm_converters.convert(node)
    data = node.input(0)
    shape = [int(size) for size in data.ty.shape]
    return _pooled(node, data, shape, _windows(node, shape[2:]))


def _windows(node: Node, lengths: list[int]) -> list[Window]:
    given, count = node.attributes, len(lengths)
    kernel = given["kernel_shape"]
    strides, dilations = (given.get(name, [1] * count) for name in ("strides", "dilations"))
    pads = given.get("pads", [0] * 2 * count)
    auto, ceil = given.get("auto_pad", "NOTSET"), given.get("ceil_mode", 0)
    windows = []
    for place, length in enumerate(lengths):
        span = (kernel[place] - 1) * dilations[place] + 1
        step, before, after = strides[place], pads[place], pads[count + place]
        if auto.startswith("SAME"):
            size = -(-length // step)
            total = max(0, (size - 1) * step + span - length)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        else:
            before, after = (0, 0) if auto == "VALID" else (before, after)
            room = length + before + after - span
            size = (-(-room // step) if ceil else room // step) + 1
            size -= ceil and (size - 1) * step >= length + before  # it would begin in the padding
        windows.append(Window(kernel[place], step, dilations[place], before, int(size)))
    return windows


def _pooled(
    node: Node, data: relax.Expr, shape: list[int], windows: list[Window]
) -> Sequence[relax.Expr]:
    """Compares the elements of all windows, one after the other; the first of equal ones wins."""
    dtype = str(data.ty.dtype)
    pads = [(0, 0), (0, 0)]
    pads += [(w.before, w.after(n)) for w, n in zip(windows, shape[2:], strict=True)]
    lowest = tvm.tirx.min_value(dtype).value
    padded = node.emit(
        relax.op.nn.pad(data, [int(n) for pair in pads for n in pair], "constant", lowest)
    )
    numbers = np.pad(_numbers(shape, node.attributes.get("storage_order", 0)), pads)
    best: Any = None
    for offsets in product(*(range(window.kernel) for window in windows)):
        begins = [o * w.dilation for o, w in zip(offsets, windows, strict=True)]
        ends = [b + (w.size - 1) * w.stride + 1 for b, w in zip(begins, windows, strict=True)]
        steps = [w.stride for w in windows]
        axes = list(range(2, len(shape)))
        value = node.emit(relax.op.strided_slice(padded, axes, begins, ends, steps))
        cut = tuple(map(slice, begins, ends, steps))
        place = constant(numbers[(slice(None), slice(None), *cut)], "int64")
        if best is None:
            best = (value, place)
            continue
        larger = node.emit(relax.op.greater(value, best[0]))
        pairs = ((value, best[0]), (place, best[1]))
        best = tuple(node.emit(relax.op.where(larger, new, old)) for new, old in pairs)
    return list(best)


def _numbers(shape: list[int], by_column: int) -> np.ndarray:
    """Numbers the elements of a tensor, those of a picture row by row or column by column."""
    if not by_column:
        return np.arange(prod(shape)).reshape(shape)
    if len(shape) != 4:
        raise Untranslatable("its storage_order is by column; export it by row")
    turned = np.arange(prod(shape)).reshape([*shape[:2], shape[3], shape[2]])
    return turned.transpose(0, 1, 3, 2)


CONVERTERS: dict[Key, Converter] = {("", "MaxPool"): max_pool}
