"""How far an output is from a reference's, and whether that is near enough."""

from collections.abc import Sequence

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest error over the largest magnitude of the reference; other dtypes must be equal."""


def difference(output: np.ndarray, reference: np.ndarray) -> tuple[float, float, bool]:
    """Largest absolute error, the same over the reference's largest magnitude, and if it is right.

    What is not a number, or infinite, must be so in both.
    """
    if np.array_equal(output, reference):
        return 0.0, 0.0, True
    if str(reference.dtype) not in TOLERANCE:
        equal = bool(np.array_equal(output, reference))
        return (0.0, 0.0, True) if equal else (float("inf"), float("inf"), False)
    ours, theirs = output.astype("f8"), reference.astype("f8")
    finite = np.isfinite(theirs)
    same = np.array_equal(ours[~finite], theirs[~finite], equal_nan=True)
    if not same or not np.isfinite(ours[finite]).all():
        return float("inf"), float("inf"), False
    if not finite.any():
        return 0.0, 0.0, True
    absolute = float(np.max(np.abs(ours[finite] - theirs[finite])))
    scale = float(np.max(np.abs(theirs[finite])))
    relative = absolute / scale if scale > 0 else absolute
    return absolute, relative, relative <= TOLERANCE[str(reference.dtype)]


def differences(
    outputs: Sequence[np.ndarray], reference: Sequence[np.ndarray]
) -> tuple[float, float, bool]:
    """The largest ``difference`` of several outputs, and if all are right."""
    absolute, relative, right = zip(*map(difference, outputs, reference), strict=True)
    return max(absolute), max(relative), all(right)
