"""Rounds loop extents without useful divisors up to ones that have them.

Loops are tiled without remainders. So 197 rows, which transformers of pictures have, would be
summed up one by one, and weights fetched anew for each. Instead a few more rows, or columns of a
picture, are computed from the inputs of the last one, and dropped. The count of operations includes
them.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import tvm
from tvm import te
from tvm.ir import Call

from chameleon_ray.compiler.relax import is_static

USEFUL = range(3, 15)
"""Numbers of rows or columns that are worth summing up together and fit into registers."""


def rounded(extent: int) -> int:
    """Returns the least number from ``extent`` on that has a useful divisor, or is small itself."""
    return next(n for n in count(extent) if n < USEFUL.stop or any(n % d == 0 for d in USEFUL))


def rounded_matmul(left: Any, right: Any) -> Any:
    """Multiplies matrices: ``out[..., i, j] = sum left[..., i, k] right[..., k, j]``."""
    k = te.reduce_axis((0, left.shape[-1]), "k")

    def point(*place: Any) -> Any:
        *batch, i, j = place
        return te.sum(left[(*batch, i, k)] * right[(*batch, k, j)], axis=k)

    shape = (*left.shape[:-1], right.shape[-1])
    return computed(shape, len(shape) - 2, point, "matmul", rounding=True)


def computed(
    shape: tuple[Any, ...],
    axis: int,
    point: Callable[..., Any],
    name: str,
    rounding: bool,
    attrs: dict[str, str] | None = None,
) -> Any:
    """Computes a tensor, cut from a longer one where an axis has no useful divisors.

    Without ``rounding``, or with an axis of unknown length, nothing is cut. ``attrs`` are the
    attributes of the operation that ``point`` is of.
    """
    size = shape[axis]
    if not rounding or not isinstance(size, int | tvm.tirx.IntImm):
        return te.compute(shape, point, name=name, attrs=attrs)
    longer = rounded(int(size))
    if longer == int(size):
        return te.compute(shape, point, name=name, attrs=attrs)

    def within(*place: Any) -> Any:
        return point(*place[:axis], tvm.tirx.min(place[axis], size - 1), *place[axis + 1 :])

    whole = te.compute((*shape[:axis], longer, *shape[axis + 1 :]), within, name=name, attrs=attrs)
    return te.compute(shape, lambda *place: whole(*place), name="cut")


def is_awkward(call: Call) -> bool:
    """Whether a product has equally many matrices on both sides, and rows that need rounding."""
    kinds = {str(value.ty.dtype) for value in (call, *call.args)}
    left, right = (arg.ty.shape for arg in call.args)
    if len(kinds) > 1 or not is_static(*(arg.ty for arg in call.args)):
        return False
    same = len(left) == len(right) > 1 and list(map(int, left))[:-2] == list(map(int, right))[:-2]
    return same and rounded(int(left[-2])) != int(left[-2])
