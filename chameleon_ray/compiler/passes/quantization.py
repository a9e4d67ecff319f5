"""Quantised tensors: small integers that stand for floats, ``scale * (integer - zero)``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

from chameleon_ray.compiler.relax import Emit, constant

Known = Mapping[relax.Var, np.ndarray]
"""Values of variables that are constant."""


@dataclass(frozen=True, eq=False)
class Quantization:
    """The scale and zero point by which integers stand for floats.

    Attributes:
        scale: Distance of two neighbours, float32: one number without axes, or an array of as many
            axes as the tensor has, all but one of extent 1.
        zero: The integers that stand for 0, int32, shaped like the scale.
        dtype: Type of the integers.
    """

    scale: np.ndarray
    zero: np.ndarray
    dtype: str

    @property
    def is_per_tensor(self) -> bool:
        """Whether the whole tensor has one scale and one zero point."""
        return not self.scale.ndim and not self.zero.ndim

    @property
    def is_bytes(self) -> bool:
        """Whether the integers have 8 bits."""
        return np.dtype(self.dtype).itemsize == 1

    @property
    def is_short(self) -> bool:
        """Whether float32 has every integer."""
        return np.dtype(self.dtype).itemsize <= 2

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest integer."""
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max)

    def equals(self, other: "Quantization") -> bool:
        """Whether equal integers stand for equal floats in both."""
        return (
            self.dtype == other.dtype
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
        )

    def rounded(self, value: np.ndarray | float) -> np.ndarray:
        """Returns the integers that floats become, as float32; infinities become the bounds."""
        with np.errstate(all="ignore"):
            steps = np.round(np.float32(value) / self.scale) + self.zero
        return np.clip(steps, *self.bounds).astype("float32")

    def integers(self, floats: np.ndarray) -> np.ndarray:
        """Returns the integers that constant floats become."""
        return self.rounded(floats).astype(self.dtype)

    def floats(self, integers: np.ndarray) -> np.ndarray:
        """Returns the floats that constant integers stand for."""
        return (integers.astype("int32") - self.zero).astype("float32") * self.scale


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor of floats that is kept as integers.

    Attributes:
        tensor: The integers.
        how: How they stand for floats.
    """

    tensor: relax.Expr
    how: Quantization


def quantization_of(call: Call, known: Known) -> Quantization | None:
    """Returns the scale and zero point of a ``quantize`` or ``dequantize``.

    None where they are computed at run time, or are not of integers.
    """
    dtype = str((call if call.op.name == "relax.quantize" else call.args[0]).ty.dtype)
    scale, zero = (value_of(arg, known) for arg in call.args[1:])
    if scale is None or zero is None or "int" not in dtype:
        return None
    rank, axis = call.args[0].ty.ndim, int(call.attrs.axis)
    scale, zero = _aligned(scale, rank, axis), _aligned(zero, rank, axis)
    if scale.ndim != zero.ndim:
        scale, zero = (array.copy() for array in np.broadcast_arrays(scale, zero))
    return Quantization(scale.astype("float32"), zero.astype("int32"), dtype)


def value_of(value: Any, known: Known) -> np.ndarray | None:
    """Returns the value of a constant, or of a variable that is known to be one; else None."""
    if isinstance(value, GenericConst):
        return value.value.numpy()
    if isinstance(value, tvm.tirx.IntImm | tvm.tirx.FloatImm):
        return np.asarray(value.value)
    return known.get(value) if isinstance(value, relax.Var) else None


def _aligned(array: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """Gives numbers along an axis the rank of the tensor; a single number has no axes."""
    if array.size == 1:
        return array.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return array.reshape(shape)


def parameter(numbers: np.ndarray, like: relax.Expr) -> GenericConst:
    """Returns numbers as a float32 constant that has as many axes as a tensor.

    Without axes, a number would be part of a layer's code. Layers that differ by such numbers only
    would be tuned one by one.
    """
    missing = max(like.ty.ndim - numbers.ndim, 0)
    return constant(numbers.reshape(*[1] * missing, *numbers.shape), "float32")


def dequantized(value: Quantized, emit: Emit) -> relax.Expr:
    """Spells out the floats that integers stand for."""
    op, how = relax.op, value.how
    if how.dtype == "int32":  # too long for a float32 until the zero point is gone
        whole = emit(op.subtract(value.tensor, constant(how.zero, "int32")))
        floats = emit(op.astype(whole, "float32"))
    else:
        floats = emit(op.astype(value.tensor, "float32"))
        if how.zero.any():
            floats = emit(op.subtract(floats, parameter(how.zero, floats)))
    return op.multiply(floats, parameter(how.scale, floats))


def quantized(steps: relax.Expr, how: Quantization, bounds: Any, emit: Emit) -> relax.Expr:
    """Rounds floats, in steps, to integers: half to even, then the zero point, then the bounds.

    Args:
        steps: The floats over the scale.
        how: The quantisation.
        bounds: The least and the largest result, each one number or one for each channel.
        emit: Binds a value.
    """
    op = relax.op
    value = emit(op.round(steps))
    if how.zero.any():
        value = emit(op.add(value, parameter(how.zero, value)))
    for clip, bound, own in zip((op.maximum, op.minimum), bounds, how.bounds, strict=True):
        usual = np.all(bound == own)
        value = emit(
            clip(value, constant(np.asarray(own), "float32") if usual else parameter(bound, value))
        )
    return op.astype(value, how.dtype)
