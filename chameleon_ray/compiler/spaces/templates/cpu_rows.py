"""A template for CPUs: row by row, sums over a row and then the row's elements, as norms have them.

The loops, from the outside, with rows r and a row's elements k:

    parallel r0 | r1 | each sum: k0, a vector of elements; then the sum of the vector
                     | each elementwise block, the last one writes the output: k0, a vector

A row stays in the cache between its sums. Softmax and layer norms are such layers.
"""

import math
from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.passes.pack_weights import NARROWEST, lanes
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.reduction import PARALLEL, REDUCED, outermost
from chameleon_ray.compiler.spaces.templates.template import Fitted

MOST = 64
"""Most rows in the inner loop over them."""
DTYPE = "float32"


def cpu_rows(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    names = _blocks(schedule, module)
    if not names:
        return None
    *before, last = names
    *rows, length = (int(i.dom.extent) for i in schedule.get(schedule.get_sblock(last)).iter_vars)
    with target:
        vector = lanes(length, DTYPE)
    if vector < NARROWEST:
        return None
    sums = [name for name in before if _is_reduction(schedule, name)]
    parts = {name: _in_vectors(schedule, name, vector, len(rows)) for name in sums}
    *outer, element = schedule.get_loops(schedule.get_sblock(last))
    row = schedule.fuse(*outer)
    r0, r1 = schedule.split(row, schedule.sample_perfect_tile(row, 2, MOST))
    schedule.parallel(r0)
    _vectorized(schedule, element, vector)
    for name in reversed(before):
        schedule.compute_at(schedule.get_sblock(name), r1, preserve_unit_loops=True)
        if name in parts:
            _summed(schedule, parts[name], r1, len(rows))
        elif _extents(schedule, name)[-1:] == [length] and len(_extents(schedule, name)) > len(
            rows
        ):
            _vectorized(schedule, schedule.get_loops(schedule.get_sblock(name))[-1], vector)
    return Fitted(schedule.trace)


def _blocks(schedule: Schedule, module: Any) -> list[str]:
    """Returns the blocks of a layer of rows, in order; none of any other layer."""
    handles = outermost(schedule, module)
    names = [schedule.get(handle).name_hint for handle in handles]
    results = [
        name for name, one in zip(names, handles, strict=True) if not schedule.get_consumers(one)
    ]
    if len(names) < 2 or results != names[-1:]:
        return []
    *rows, length = _extents(schedule, names[-1]) or [0]
    if not rows or math.prod(rows) == 0 or str(_written(schedule, names[-1]).dtype) != DTYPE:
        return []
    shapes = {name: _extents(schedule, name) for name in names}
    reductions = [name for name in names if _is_reduction(schedule, name)]
    whole = all(shape in (rows, [*rows, length]) for shape in shapes.values())
    summed = all(_kinds(schedule, n) == [PARALLEL] * len(rows) + [REDUCED] for n in reductions)
    apart = all(set(_kinds(schedule, n)) == {PARALLEL} for n in names if n not in reductions)
    return names if reductions and whole and summed and apart else []


def _extents(schedule: Schedule, name: str) -> list[int]:
    return [int(i.dom.extent) for i in schedule.get(schedule.get_sblock(name)).iter_vars]


def _kinds(schedule: Schedule, name: str) -> list[int]:
    return [int(i.iter_type) for i in schedule.get(schedule.get_sblock(name)).iter_vars]


def _written(schedule: Schedule, name: str) -> Any:
    return schedule.get(schedule.get_sblock(name)).writes[0].source


def _is_reduction(schedule: Schedule, name: str) -> bool:
    return REDUCED in _kinds(schedule, name)


def _in_vectors(schedule: Schedule, name: str, vector: int, rows: int) -> Any:
    """Splits a sum into those of a vector's places; returns the block that makes them."""
    element = schedule.get_loops(schedule.get_sblock(name))[-1]
    return schedule.rfactor(schedule.split(element, [None, vector])[1], rows)


def _summed(schedule: Schedule, block: Any, place: Any, rows: int) -> None:
    """Schedules the sums of a vector's places, of which the loop is before those over rows."""
    schedule.compute_at(block, place, preserve_unit_loops=True)
    lane, *_, steps = schedule.get_loops(block)[-rows - 2 :]
    schedule.reorder(steps, lane)
    schedule.vectorize(lane)
    schedule.decompose_reduction(block, steps)


def _vectorized(schedule: Schedule, loop: Any, vector: int) -> None:
    schedule.vectorize(schedule.split(loop, [None, vector])[1])
