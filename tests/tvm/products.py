"""Products of matrices and convolutions as layers for tensor cores, with sums of float32."""

from collections.abc import Callable
from typing import Any

import tvm
from tvm import te, topi

from chameleon_ray.measure.precision import PRECISION, TF32
from tests.tvm.layers import module

WIDE = "float32"
"""Type of sums, and of what follows them."""


def dense(
    dtype: str = "float16", rows: int = 49, columns: int = 72, depth: int = 64, kn: bool = False
) -> Any:
    """A product with its bias and ReLU; the right factor has a row per column, or per sum."""
    left = te.placeholder((rows, depth), dtype, "left")
    right = te.placeholder((depth, columns) if kn else (columns, depth), dtype, "right")
    bias = te.placeholder((columns,), WIDE, "bias")
    k = te.reduce_axis((0, depth), "k")
    total = te.compute(
        (rows, columns),
        lambda i, j: te.sum(_wide(left[i, k]) * _wide(right[k, j] if kn else right[j, k]), k),
        "product",
    )
    moved = te.compute((rows, columns), lambda i, j: te.max(total[i, j] + bias[j], 0.0), "moved")
    return _marked(dtype, left, right, bias, _narrow(moved, dtype))


def batched(dtype: str = "float16", kn: bool = False) -> Any:
    """Products of three pairs of matrices, scaled."""
    batch, rows, columns, depth = 3, 32, 48, 64
    left = te.placeholder((batch, rows, depth), dtype, "left")
    shape = (batch, depth, columns) if kn else (batch, columns, depth)
    right = te.placeholder(shape, dtype, "right")
    k = te.reduce_axis((0, depth), "k")
    total = te.compute(
        (batch, rows, columns),
        lambda b, i, j: te.sum(
            _wide(left[b, i, k]) * _wide(right[b, k, j] if kn else right[b, j, k]), k
        ),
        "product",
    )
    scale = tvm.tirx.const(0.125, WIDE)
    scaled = te.compute(total.shape, lambda *at: total[at] * scale, "scaled")
    return _marked(dtype, left, right, _narrow(scaled, dtype))


def conv(
    dtype: str = "float16", inputs: int = 32, outputs: int = 32, size: int = 3, stride: int = 1
) -> Any:
    """A convolution in NHWC of two pictures, with bias, residual and ReLU."""
    side, pad = 7, size // 2
    data = te.placeholder((2, side, side, inputs), dtype, "data")
    filters = te.placeholder((outputs, size, size, inputs), dtype, "filters")
    bias = te.placeholder((1, 1, 1, outputs), WIDE, "bias")
    padded = topi.nn.pad(data, [0, pad, pad, 0], [0, pad, pad, 0]) if pad else data
    left = (side + 2 * pad - size) // stride + 1
    shape = (2, left, left, outputs)
    residual = te.placeholder(shape, dtype, "residual")
    r, s = te.reduce_axis((0, size), "r"), te.reduce_axis((0, size), "s")
    c = te.reduce_axis((0, inputs), "c")
    total = te.compute(
        shape,
        lambda n, h, w, o: te.sum(
            _wide(padded[n, h * stride + r, w * stride + s, c]) * _wide(filters[o, r, s, c]),
            [r, s, c],
        ),
        "product",
    )
    moved = te.compute(shape, lambda n, h, w, o: total[n, h, w, o] + bias[0, 0, 0, o], "moved")
    added = te.compute(shape, lambda *at: te.max(moved[at] + _wide(residual[at]), 0.0), "added")
    return _marked(dtype, data, filters, bias, residual, _narrow(added, dtype))


LAYERS: dict[str, Callable[[], Any]] = {
    "dense": dense,
    "dense, rows of sums": lambda: dense(kn=True),
    "dense, bfloat16": lambda: dense("bfloat16"),
    "dense, TF32": lambda: dense("float32"),
    "batched": batched,
    "batched, rows of sums": lambda: batched(kn=True),
    "3x3": conv,
    "3x3, bfloat16": lambda: conv("bfloat16"),
    "3x3, TF32": lambda: conv("float32"),
    "3x3, stride": lambda: conv(stride=2),
    "1x1": lambda: conv(inputs=64, size=1),
    "7x7 of three channels": lambda: conv(inputs=3, size=7),
}
"""Layers that the template for tensor cores fits."""


def _wide(value: Any) -> Any:
    return value.astype(WIDE)


def _narrow(tensor: Any, dtype: str) -> Any:
    if dtype == WIDE:
        return tensor
    return te.compute(tensor.shape, lambda *at: tensor[at].astype(dtype), "narrow")


def _marked(dtype: str, *tensors: Any) -> Any:
    """Makes the layer; factors of float32 may be rounded to TF32."""
    made = module(*tensors)
    if dtype != WIDE:
        return made
    return tvm.IRModule({"main": made["main"].with_attr(PRECISION, TF32)})
