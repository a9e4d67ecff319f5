"""The errors of outputs against a reference, and the tolerance of them."""

from collections.abc import Sequence

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest error over the largest magnitude of the reference, by dtype.

Outputs of other dtypes must be equal to the reference.
"""


def difference(output: np.ndarray, reference: np.ndarray) -> tuple[float, float, bool]:
    """Compares an output with its reference.

    Values that are infinite or not a number must be so in both.

    Returns:
        The largest absolute error, this error over the reference's largest magnitude, and whether
        the output is right.
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
    """Returns the largest errors of several outputs, and whether all are right.

    See ``difference``.
    """
    absolute, relative, right = zip(*map(difference, outputs, reference), strict=True)
    return max(absolute), max(relative), all(right)
