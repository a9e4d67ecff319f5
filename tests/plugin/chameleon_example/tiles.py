"""A template for matrix products on CPUs: tiles of rows and columns, the outer rows in parallel."""

from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.reduction import find_reduction
from chameleon_ray.compiler.spaces.templates.template import Fitted

WIDEST = 64
"""Most rows, or columns, of an inner tile."""


def tiles(module: Any, target: Any) -> Fitted | None:
    """Fits layers that are one sum of products with rows and columns; see ``Template``.

    Args:
        module: A TVM module with one PrimFunc ``main``.
        target: The target, as TVM has it.

    Returns:
        The trace of a schedule that samples two tilings, which become the layer's only knobs; None
        where the template is not for the layer.
    """
    layer = find_reduction(module)
    if target.kind.name != "llvm" or layer is None or len(layer.outputs) != 2:
        return None
    schedule = Schedule(module)
    rows, columns, *summed = schedule.get_loops(schedule.get_sblock(layer.block))
    outer, inner = schedule.split(rows, schedule.sample_perfect_tile(rows, 2, WIDEST))
    far, near = schedule.split(columns, schedule.sample_perfect_tile(columns, 2, WIDEST))
    schedule.reorder(outer, far, inner, *summed, near)
    schedule.parallel(outer)
    return Fitted(schedule.trace)
