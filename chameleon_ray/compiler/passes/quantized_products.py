"""Convolutions and matrix products of quantised data and weights, as sums of integers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from tvm import relax
from tvm.ir import Call, GenericConst

from chameleon_ray.compiler.passes.quantization import Quantization, Quantized
from chameleon_ray.compiler.relax import Emit, constant

LARGEST = 2**31 - 2**29 - 1
"""The largest sum that is kept; it leaves room for a bias."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A constant tensor of integers that stand for floats."""

    numbers: np.ndarray
    how: Quantization

    def floats(self) -> np.ndarray:
        """Returns the floats."""
        return self.how.floats(self.numbers)

    def permuted(self, call: Call) -> "Weights":
        """Returns the weights with their axes permuted as ``permute_dims`` does."""
        axes = None if call.attrs.axes is None else [int(axis) for axis in call.attrs.axes]
        scale, zero = (
            array.transpose(axes) if array.ndim else array
            for array in (self.how.scale, self.how.zero)
        )
        return Weights(self.numbers.transpose(axes), replace(self.how, scale=scale, zero=zero))

    def less_zero(self) -> np.ndarray:
        """Returns the integers less their zero points."""
        return self.numbers.astype("int32") - self.how.zero


Product = Callable[[Call, Quantized, Weights, Emit], tuple[relax.Var, np.ndarray] | None]
"""Binds the sums of a product's integers; returns them, and by what they are to be multiplied.

None where the product has to be computed in floats."""


def _conv(call: Call, data: Quantized, weights: Weights, emit: Emit) -> tuple | None:
    attrs, rank = call.attrs, call.ty.ndim
    layouts = str(attrs.data_layout)[:2], str(attrs.kernel_layout)[:2]
    factor = _factor(data, weights, 0)
    if layouts != ("NC", "OI") or factor is None or not _fits(data, weights, 0):
        return None
    make = CONVOLUTIONS[rank]
    sums = make(
        _less_zero(data, emit),
        _constant(weights),
        strides=list(attrs.strides),
        padding=list(attrs.padding),
        dilation=list(attrs.dilation),
        groups=int(attrs.groups),
        out_dtype="int32",
    )
    return emit(sums), factor.reshape(1, -1, *[1] * (rank - 2)) if factor.ndim else factor


CONVOLUTIONS = {3: relax.op.nn.conv1d, 4: relax.op.nn.conv2d, 5: relax.op.nn.conv3d}
"""Convolutions by the rank of their data."""


def _matmul(call: Call, data: Quantized, weights: Weights, emit: Emit) -> tuple | None:
    factor = _factor(data, weights, 1)
    if weights.numbers.ndim != 2 or call.args[0].ty.ndim < 2 or factor is None:
        return None
    if not _fits(data, weights, 1):
        return None
    sums = relax.op.matmul(_less_zero(data, emit), _constant(weights), out_dtype="int32")
    return emit(sums), factor.reshape(-1) if factor.ndim else factor


PRODUCTS: dict[str, Product] = {
    "relax.nn.conv1d": _conv,
    "relax.nn.conv2d": _conv,
    "relax.nn.conv3d": _conv,
    "relax.matmul": _matmul,
}
"""Makers of sums of integers, by operator."""


def _factor(data: Quantized, weights: Weights, axis: int) -> np.ndarray | None:
    """Returns the scale of the sums; None where weights have scales on another axis than this."""
    scale = weights.how.scale
    if any(size > 1 for place, size in enumerate(scale.shape) if place != axis):
        return None
    return (data.how.scale * scale).astype("float64")  # rounded to float32, as frameworks do it


def _fits(data: Quantized, weights: Weights, axis: int) -> bool:
    """Whether no sum can leave 32 bits, and all weights less their zero points have 16."""
    numbers = weights.less_zero()
    others = tuple(place for place in range(numbers.ndim) if place != axis)
    low, high = (abs(bound - int(data.how.zero)) for bound in data.how.bounds)
    largest = np.abs(numbers.astype("int64")).sum(others).max() * max(low, high)
    return bool(largest <= LARGEST and np.abs(numbers).max() <= np.iinfo("int16").max)


def _less_zero(data: Quantized, emit: Emit) -> relax.Expr:
    if not data.how.zero:
        return data.tensor
    wide = emit(relax.op.astype(data.tensor, "int16"))
    return emit(relax.op.subtract(wide, constant(data.how.zero, "int16")))


def _constant(weights: Weights) -> GenericConst:
    numbers = weights.less_zero()
    bounds = np.iinfo("int8")
    short = bounds.min <= numbers.min() and numbers.max() <= bounds.max
    return constant(numbers, "int8" if short else "int16")
