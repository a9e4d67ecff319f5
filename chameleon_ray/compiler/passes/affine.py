"""Sums of scaled tensors, clipped: what a layer's floats are, in terms of integers.

A quantised layer's result is a sum of integers that is scaled, has a bias added, may have another
tensor added, is clipped (ReLU) and quantised. Its scales can be multiplied ahead of time, and as
rounding is monotone, its clips can be made of the integers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tvm_ffi
from tvm import relax
from tvm.ir import Call

from chameleon_ray.compiler.passes.quantization import (
    Quantization,
    Quantized,
    parameter,
    quantized,
)
from chameleon_ray.compiler.relax import Emit, constant, operator

EXACT = 1e-6
"""Relative difference from a whole number up to which a float32 stands for it."""
LARGEST_SHIFT = 2**29
"""Largest number that is added to sums of products, which are below ``LARGEST``."""


@dataclass(frozen=True, eq=False)
class Term:
    """A tensor times constant factors: one number without axes, or an array of the same rank."""

    tensor: relax.Expr
    factor: np.ndarray

    @property
    def is_integer(self) -> bool:
        """Whether the tensor is one of integers."""
        return "int" in str(self.tensor.ty.dtype)


@dataclass(frozen=True, eq=False)
class ScaledSum:
    """``min(max(sum of terms + shift, low), high)``; constants are float64."""

    terms: tuple[Term, ...]
    shift: np.ndarray
    low: float = -np.inf
    high: float = np.inf

    @property
    def is_bounded(self) -> bool:
        """Whether there is any clip."""
        return self.low > -np.inf or self.high < np.inf

    @property
    def has_integers(self) -> bool:
        """Whether any term is one of integers."""
        return any(term.is_integer for term in self.terms)


Read = Callable[[relax.Expr], ScaledSum]
"""Gives a tensor of floats as a sum."""


def of_tensor(tensor: relax.Expr) -> ScaledSum:
    """Returns a tensor as a sum of itself."""
    return ScaledSum((Term(tensor, np.ones(())),), np.zeros(()))


def of_quantized(value: Quantized) -> ScaledSum:
    """Returns the floats that integers stand for as a sum."""
    scale = value.how.scale.astype("float64")
    return ScaledSum((Term(value.tensor, scale),), -scale * value.how.zero)


def operated(call: Call, read: Read) -> ScaledSum | None:
    """Returns the result of an operator on sums; None where it is no sum."""
    rule = RULES.get(operator(call))
    return None if rule is None else rule(call, read)


def _added(call: Call, read: Read) -> ScaledSum | None:
    left, right = (read(arg) for arg in call.args)
    if left.is_bounded or right.is_bounded:
        return None
    if operator(call) == "relax.subtract":
        right = _scaled(right, -np.ones(()))
    return ScaledSum(left.terms + right.terms, left.shift + right.shift)


def _multiplied(call: Call, read: Read) -> ScaledSum | None:
    left, right = (read(arg) for arg in call.args)
    if left.terms and right.terms:
        return None
    value, factor = (left, right.shift) if left.terms else (right, left.shift)
    return None if value.is_bounded else _scaled(value, factor)


def _divided(call: Call, read: Read) -> ScaledSum | None:
    value, divisor = (read(arg) for arg in call.args)
    if divisor.terms or value.is_bounded or not divisor.shift.all():
        return None
    return _scaled(value, 1 / divisor.shift)


def _scaled(value: ScaledSum, factor: np.ndarray) -> ScaledSum:
    terms = tuple(replace(term, factor=term.factor * factor) for term in value.terms)
    return ScaledSum(terms, value.shift * factor)


def _bounded(call: Call, read: Read) -> ScaledSum | None:
    left, right = (read(arg) for arg in call.args)
    value, bound = (left, right) if left.terms else (right, left)
    if bound.terms or bound.shift.size != 1:
        return None
    return _clipped(value, operator(call), bound.shift.item())


def _clipped(value: ScaledSum, name: str, bound: float) -> ScaledSum:
    if name == "relax.maximum":
        return replace(value, low=max(value.low, bound), high=max(value.high, bound))
    return replace(value, low=min(value.low, bound), high=min(value.high, bound))


def _clip(call: Call, read: Read) -> ScaledSum | None:
    low, high = (float(bound.value) for bound in call.args[1:])
    value = _clipped(read(call.args[0]), "relax.maximum", low)
    return _clipped(value, "relax.minimum", high)


RULES: dict[str, Callable[[Call, Read], ScaledSum | None]] = {
    "relax.add": _added,
    "relax.subtract": _added,
    "relax.multiply": _multiplied,
    "relax.divide": _divided,
    "relax.maximum": _bounded,
    "relax.minimum": _bounded,
    "relax.clip": _clip,
    "relax.nn.relu": lambda call, read: _clipped(read(call.args[0]), "relax.maximum", 0.0),
}
"""Rules of the operators that keep a sum a sum, by name."""


def requantized(
    value: ScaledSum, how: Quantization, like: relax.TensorType, emit: Emit
) -> relax.Expr | None:
    """Quantises a sum of integers, with as little arithmetic as it takes.

    Args:
        value: The sum.
        how: The quantisation.
        like: Type of the sum as floats.
        emit: Binds a value.

    Returns:
        The integers; None where the terms have another shape than the sum, which constants that are
        0 or 1 can have stretched.
    """
    op, total = relax.op, None
    value = _with_whole_shift(value, emit)
    for term in value.terms:
        tensor = term.tensor
        if term.is_integer:
            tensor = emit(op.astype(tensor, "float32"))
        scaled = emit(op.multiply(tensor, parameter(term.factor / how.scale, tensor)))
        total = scaled if total is None else emit(op.add(total, scaled))
    shift = value.shift / how.scale
    if np.any(shift):
        total = emit(op.add(total, parameter(shift, total)))
    if total is None or not tvm_ffi.structural_equal(total.ty.shape, like.shape):
        return None
    low, high = how.bounds
    low = np.maximum(how.rounded(value.low), low)
    high = np.minimum(how.rounded(value.high), high)
    return quantized(total, how, (low, high), emit)


def _with_whole_shift(value: ScaledSum, emit: Emit) -> ScaledSum:
    """Adds a shift to the integers that it is a multiple of, as a quantised bias is.

    The sum of integers is exact, and its halves are rounded as frameworks round them.
    """
    if len(value.terms) != 1 or not value.shift.any():
        return value
    (term,) = value.terms
    if str(term.tensor.ty.dtype) != "int32" or not term.factor.all():
        return value
    count = value.shift / term.factor
    whole = np.round(count)
    close = np.abs(count - whole) <= EXACT * np.maximum(np.abs(whole), 1)
    if not close.all() or np.abs(whole).max() > LARGEST_SHIFT:
        return value
    shift = whole.reshape([1] * (term.tensor.ty.ndim - whole.ndim) + list(whole.shape))
    shifted = emit(relax.op.add(term.tensor, constant(shift, "int32")))
    return replace(value, terms=(replace(term, tensor=shifted),), shift=np.zeros(()))
