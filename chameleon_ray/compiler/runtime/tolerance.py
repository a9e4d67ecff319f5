"""The errors of outputs against a reference, and how large they may be, by what they come from.

Types and shapes are the same, and infinities and NaN are in the same places. Integers and booleans
are equal, but for those that a quantised model or layer rounds to.
"""

from collections.abc import Sequence
from itertools import repeat
from math import inf, sqrt
from typing import NamedTuple

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np

from chameleon_ray.measure.precision import PLAIN, Precision

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "tf32": 1e-2, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest error of a layer over the largest magnitude of the reference, by type, finest first."""
FLOOR = {"float64": 1e-15, "float32": 5e-7, "tf32": 1e-4, "float16": 1e-4, "bfloat16": 1e-4}
"""Error that is never too large, where values of about 1 go into an output, by type.

It is four roundings of such a value, as remain where two of them cancel out. 16-bit outputs may be
as small as one such rounding and count, so theirs is a fraction of it. See ``_floor``, too.
"""
ACCUMULATION = 10.0
"""Factor by which errors of a whole model's outputs may exceed the tolerance of one layer's."""
DRIFT = 0.35
"""Root mean square of a quantised output's error in steps, over the root of its quantisations."""
FARTHEST = 1.25
"""Steps by which one value may be off, beside the first, over the same root."""
RANGE = 127
"""Steps that the largest value is taken to have where an output's own step is unknown."""


class Difference(NamedTuple):
    """An output compared with its reference.

    Attributes:
        absolute: Largest absolute error; infinite where the two cannot be compared by numbers.
        relative: The same over the largest magnitude of the reference.
        right: Whether the output is right.
        fault: What is wrong with it, in words that follow its name; empty where it is right.
    """

    absolute: float
    relative: float
    right: bool
    fault: str = ""


def difference(
    output: np.ndarray,
    reference: np.ndarray,
    precision: Precision = PLAIN,
    factor: float = 1.0,
    scale: float = 1.0,
    step: float = 0.0,
) -> Difference:
    """Compares an output with its reference.

    Args:
        output: The output.
        reference: What it should be.
        precision: Precision of the output; the reference may have been computed in a finer one.
        factor: Factor of the tolerance.
        scale: Magnitude of what goes into the output; it counts where it is less than 1.
        step: Step of quantisation of the output, in its own unit; 0 where it is unknown.
    """
    if output.dtype != reference.dtype:
        return _wrong(f"has the type {output.dtype}, not {reference.dtype}")
    if output.shape != reference.shape:
        return _wrong(f"has the shape {_shape(output)}, not {_shape(reference)}")
    if np.array_equal(output, reference):
        return Difference(0.0, 0.0, True)
    if str(reference.dtype) not in TOLERANCE:
        return _integers(output, reference, precision)
    ours, theirs = output.astype("f8"), reference.astype("f8")
    finite = np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return _wrong("has infinities or NaN in other places")
    if not np.isfinite(ours[finite]).all():
        return _wrong("has infinities or NaN in other places")
    errors = np.abs(ours[finite] - theirs[finite])
    largest = float(np.abs(theirs[finite]).max(initial=0.0))
    if precision.quantizers and largest > 0:
        return _stepped(errors, largest, step or largest / RANGE, precision)
    kind = max(str(reference.dtype), precision.dtype, key=[*TOLERANCE].index)
    floor = _floor(str(reference.dtype), kind, largest, scale)
    return _rounded(errors, largest, kind, factor, floor)


def differences(
    outputs: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    precision: Precision = PLAIN,
) -> tuple[float, float, bool]:
    """Returns the largest errors of a layer's outputs, and whether all are right.

    See ``difference``.
    """
    found = list(map(difference, outputs, reference, repeat(precision)))
    absolute, relative, right, _ = zip(*found, strict=True)
    return max(absolute), max(relative), all(right)


def _floor(dtype: str, kind: str, largest: float, scale: float) -> float:
    """Returns the error that is never too large.

    Outputs that are themselves longer than 16 bits may be far smaller than 16-bit floats' floor and
    count, such as probabilities of 50,000 words. What remains where values cancel out is smaller
    than float32's floor in the reference, unless that was computed in 16 bits, too.
    """
    least = min(scale, 1.0)
    fine, coarse = FLOOR["float32"] * least, FLOOR[kind] * least
    counts = dtype in ("float32", "float64") and largest > fine
    return min(fine, coarse) if counts else coarse


def _rounded(
    errors: np.ndarray, largest: float, kind: str, factor: float, floor: float
) -> Difference:
    """Judges errors of floats: the largest one, and the root mean square of all.

    One value may be off by ``factor`` times the tolerance, all together by the tolerance alone.
    """
    worst = float(errors.max(initial=0.0))
    relative = worst / largest if largest > 0 else worst
    allowed = TOLERANCE[kind] * largest
    together = float(np.linalg.norm(errors)) <= allowed * max(factor, sqrt(errors.size))
    right = worst <= floor or (worst <= factor * allowed and together)
    fault = (
        f"differs by {worst:.2g}, where its largest value is {largest:.2g} and {kind} allows "
        f"{max(factor * allowed, floor):.2g}"
    )
    return Difference(worst, relative, right, "" if right else fault)


def _integers(output: np.ndarray, reference: np.ndarray, precision: Precision) -> Difference:
    if precision.quantizers and reference.dtype.kind in "iu" and reference.dtype.itemsize <= 2:
        errors = np.abs(output.astype("f8") - reference.astype("f8"))
        return _stepped(errors, float(np.abs(reference.astype("f8")).max()), 1.0, precision)
    wrong = int(np.count_nonzero(output != reference))
    return _wrong(f"differs in {wrong} of {reference.size} values, which have to be equal")


def _stepped(errors: np.ndarray, largest: float, step: float, precision: Precision) -> Difference:
    """Judges errors of quantised values, which are off by whole steps where roundings differ."""
    worst, depth = float(errors.max()), sqrt(precision.quantizers)
    steps = errors / step
    most = 1.0 + FARTHEST * depth
    drift = float(np.linalg.norm(steps)) <= max(1.01, DRIFT * depth * sqrt(steps.size))
    right = float(steps.max()) <= int(most) + 0.01 and drift
    share = 100 * np.count_nonzero(steps > 0.5) / steps.size
    fault = (
        f"differs by up to {steps.max():.3g} steps of quantisation, and in {share:.3g} % of its "
        f"values, where {precision.quantizers} roundings explain {int(most)} in few"
    )
    relative = worst / largest if largest > 0 else worst
    return Difference(worst, relative, right, "" if right else fault)


def _wrong(fault: str) -> Difference:
    return Difference(inf, inf, False, fault)


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape)) or "of a scalar"
