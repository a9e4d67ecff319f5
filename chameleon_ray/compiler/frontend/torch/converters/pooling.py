"""Poolings: windows of each axis, whose largest elements or means are taken."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Converter, Node

Window = list[int]
"""Places along one axis that a window covers."""


def max_pool(node: Node) -> Sequence[Any]:
    """Converts the largest element of each window, with its place where something reads that."""
    x = node.tensor("self")
    shape = node.outputs[0].shape
    assert shape is not None
    spatial = len(node["kernel_size"]) if len(node["kernel_size"]) > 1 else 2
    spatial = 3 if "3d" in str(node.fx.target) else spatial
    kernel, stride, padding, dilation = _settings(node, spatial)
    windows = [
        _windows(shape[axis - spatial], node.shape_of(x)[axis - spatial], *settings)
        for axis, settings in enumerate(zip(kernel, stride, padding, dilation, strict=True))
    ]
    if reads(node, 1) or str(x.ty.dtype) == "bool":
        return max_with_places(node, x, windows)
    ops = {2: (relax.op.nn.max_pool2d, "NCHW"), 3: (relax.op.nn.max_pool3d, "NCDHW")}
    op, layout = ops[spatial]
    batched = x.ty.ndim == spatial + 2
    x = x if batched else node.emit(relax.op.expand_dims(x, 0))
    pooled = node.emit(
        op(x, kernel, stride, padding, dilation, bool(node["ceil_mode"]), layout=layout)
    )
    pooled = pooled if batched else node.emit(relax.op.squeeze(pooled, [0]))
    if node.shape_of(pooled) != shape:
        return max_with_places(node, node.tensor("self"), windows)
    return [pooled, None]


def reads(node: Node, place: int) -> bool:
    """Whether anything reads one of an operation's outputs."""
    return any(user.args[1] == place for user in node.fx.users if len(user.args) > 1)


def _settings(node: Node, spatial: int) -> list[list[int]]:
    """Returns kernel, stride, padding and dilation for each axis."""
    kernel = _each(node["kernel_size"], spatial)
    stride = _each(node.get("stride") or kernel, spatial)
    return [
        kernel,
        stride,
        _each(node["padding"], spatial),
        _each(node.get("dilation", [1]), spatial),
    ]


def _each(values: Any, spatial: int) -> list[int]:
    numbers = [values] if isinstance(values, int) else [int(value) for value in values]
    return numbers * spatial if len(numbers) == 1 else numbers


def _windows(
    count: int, size: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[Window]:
    starts = (place * stride - padding for place in range(count))
    covered = ([start + tap * dilation for tap in range(kernel)] for start in starts)
    return [[place for place in window if 0 <= place < size] for window in covered]


def adaptive_windows(count: int, size: int) -> list[Window]:
    """Returns windows that divide an axis into a number of parts."""
    return [
        list(range(place * size // count, -(-(place + 1) * size // count)))
        for place in range(count)
    ]


def adaptive_max(node: Node) -> Sequence[Any]:
    """Converts the largest element of each of a number of parts."""
    x, sizes = node.tensor("self"), [int(size) for size in node["output_size"]]
    shape = node.shape_of(x)[-len(sizes) :]
    windows = [adaptive_windows(*pair) for pair in zip(sizes, shape, strict=True)]
    return max_with_places(node, x, windows)


def max_with_places(node: Node, x: relax.Expr, windows: Sequence[list[Window]]) -> Sequence[Any]:
    """Returns the largest of each window, and its place in the spatial axes laid out as one."""
    shape, spatial = node.shape_of(x), len(windows)
    counts = [len(axis) for axis in windows]
    places = _joined(windows, shape[-spatial:])
    front = shape[:-spatial]
    flat = node.reshape(x, [*front, math.prod(shape[-spatial:])])
    taken = node.emit(relax.op.take(flat, node.as_tensor(places.reshape(-1)), len(front)))
    taken = node.emit(node.reshape(taken, [*front, *places.shape]))
    best = relax.op.max(taken, [-1])
    chosen = relax.op.argmax(taken, -1, False)
    of = torch.arange(len(places)) * places.shape[1]
    order = node.emit(relax.op.add(relax.op.astype(chosen, "int64"), node.as_tensor(of)))
    order = node.emit(node.reshape(order, (-1,)))
    found = node.emit(relax.op.take(node.as_tensor(places.reshape(-1)), order, 0))
    whole = [*front, *counts]
    return [node.reshape(node.emit(best), whole), node.reshape(found, whole)]


def _joined(windows: Sequence[list[Window]], sizes: Sequence[int]) -> torch.Tensor:
    """Returns, for each output, the places that it covers; short windows repeat their last one."""
    joined = torch.zeros((1, 1), dtype=torch.int64)
    for axis, size in zip(windows, sizes, strict=True):
        most = max(len(window) for window in axis)
        taps = torch.tensor([window + window[-1:] * (most - len(window)) for window in axis])
        joined = joined[:, None, :, None] * size + taps[None, :, None, :]
        joined = joined.reshape(joined.shape[0] * len(axis), -1)
    return joined


def avg_pool(node: Node) -> relax.Expr:
    """Converts means of windows."""
    spatial = int(str(node.fx.target).split("avg_pool")[1][0])
    kernel, stride, padding, _ = _settings(node, spatial)
    ceil, divisor = bool(node.get("ceil_mode", False)), node.get("divisor_override")
    if ceil or divisor is not None:
        return _avg_by_products(node, kernel, stride, padding, divisor)
    ops = {
        1: (relax.op.nn.avg_pool1d, "NCW"),
        2: (relax.op.nn.avg_pool2d, "NCHW"),
        3: (relax.op.nn.avg_pool3d, "NCDHW"),
    }
    op, layout = ops[spatial]
    x = node.tensor("self")
    batched = x.ty.ndim == spatial + 2
    x = x if batched else node.emit(relax.op.expand_dims(x, 0))
    whole = bool(node.get("count_include_pad", True))
    pooled = op(x, kernel, stride, padding, count_include_pad=whole, layout=layout)
    return pooled if batched else relax.op.squeeze(pooled, [0])


def _avg_by_products(
    node: Node, kernel: list[int], stride: list[int], padding: list[int], divisor: int | None
) -> relax.Expr:
    """Adds up windows by a matrix for each axis, where the divisors are not the windows' sizes."""
    x, dtype, spatial = node.tensor("self"), node.output.dtype, len(kernel)
    shape, sizes = node.output.shape, node.shape("self")[-len(kernel) :]
    assert shape is not None
    counts = torch.ones(())
    for axis, size in enumerate(sizes):
        count = shape[axis - spatial]
        windows = _windows(count, size, kernel[axis], stride[axis], padding[axis], 1)
        x = spread(node, x, _matrix(windows, size), axis - spatial)
        counts = counts[..., None] * _divisors(node, axis, count, size, kernel, stride, padding)
    counts = torch.full_like(counts, divisor) if divisor is not None else counts
    return relax.op.divide(x, node.as_tensor(counts, dtype))


def _divisors(
    node: Node,
    axis: int,
    count: int,
    size: int,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
) -> torch.Tensor:
    """Returns how many elements each window counts along an axis."""
    pad = padding[axis] if node.get("count_include_pad", True) else 0
    starts = [place * stride[axis] - padding[axis] for place in range(count)]
    ends = [min(start + kernel[axis], size + padding[axis]) for start in starts]
    return torch.tensor(
        [
            float(min(end, size + pad) - max(start, -pad))
            for start, end in zip(starts, ends, strict=True)
        ]
    )


def _matrix(windows: Sequence[Window], size: int) -> torch.Tensor:
    """Returns a matrix (windows, places) that adds up what each window covers."""
    matrix = torch.zeros(len(windows), size, dtype=torch.float64)
    for row, window in enumerate(windows):
        matrix[row, window] = 1
    return matrix


def spread(node: Node, x: relax.Expr, matrix: torch.Tensor, axis: int) -> relax.Expr:
    """Multiplies a matrix into an axis, which is counted from the back."""
    weights = node.as_tensor(matrix, str(x.ty.dtype))
    if axis == -1:
        return node.emit(relax.op.matmul(x, relax.op.permute_dims(weights, [1, 0])))
    if axis == -2:
        return node.emit(relax.op.matmul(weights, x))
    ndim = x.ty.ndim
    order = [one for one in range(ndim) if one != ndim + axis] + [ndim + axis]
    moved = relax.op.permute_dims(x, order)
    product = relax.op.matmul(moved, relax.op.permute_dims(weights, [1, 0]))
    return node.emit(relax.op.permute_dims(product, [order.index(one) for one in range(ndim)]))


def adaptive_avg(spatial: int) -> Converter:
    """Makes a converter of the mean of each of a number of parts."""

    def convert(node: Node) -> relax.Expr:
        x, sizes = node.tensor("self"), [int(size) for size in node["output_size"]]
        shape = node.shape_of(x)[-spatial:]
        if all(size == 1 for size in sizes):
            return relax.op.mean(x, [axis - spatial for axis in range(spatial)], True)
        if spatial == 2 and x.ty.ndim == 4:
            return relax.op.nn.adaptive_avg_pool2d(x, sizes, "NCHW")
        for axis, (count, size) in enumerate(zip(sizes, shape, strict=True)):
            matrix = _matrix(adaptive_windows(count, size), size)
            x = spread(node, x, matrix / matrix.sum(1, keepdim=True), axis - spatial)
        return x

    return convert


_MAX: dict[str, Callable[[Node], Sequence[Any]]] = {
    "max_pool2d_with_indices": max_pool,
    "max_pool3d_with_indices": max_pool,
    "adaptive_max_pool2d": adaptive_max,
    "adaptive_max_pool3d": adaptive_max,
}

CONVERTERS: dict[str, Converter] = {
    **{f"aten.{name}.default": convert for name, convert in _MAX.items()},
    **{f"aten.avg_pool{n}d.default": avg_pool for n in (1, 2, 3)},
    **{f"aten._adaptive_avg_pool{n}d.default": adaptive_avg(n) for n in (2, 3)},
    **{f"aten.adaptive_avg_pool{n}d.default": adaptive_avg(n) for n in (1, 2, 3)},
}
