"""The template of attention on CPUs: from queries to outputs, a few rows of one head at a time.

The loops, from the outside, with a head h, a vector of rows b, keys j, and depths d and e:

    parallel n h b0 | query: b1 d, rows
                    | scores: j0 | d | j1 b1, a vector of rows
                    | greatest, weights, total: b1 j, vectors
                    | outputs: e0 | j | e1 b1, a vector of rows
                    | b1, rows, e

All scores of a part stay in the cache. Sums are kept in registers as in ``cpu_direct``.
"""

from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.cpu_direct import SPARE, unroll
from chameleon_ray.compiler.spaces.templates.reduction import outermost
from chameleon_ray.compiler.spaces.templates.template import Bound, Fitted
from chameleon_ray.compiler.target import vector_registers

OUTPUT = "attention"
"""Name of the block that ends attention."""
STAGES = ("outputs", "total", "weights", "greatest", "masked", "scores", "query")
"""The blocks before it, from the last to the first; there may be no mask."""
MOST = 32
"""Most sums in registers, and vectors of rows, in one loop."""


def cpu_attention(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    names = [schedule.get(block).name_hint for block in outermost(schedule, module)]
    if OUTPUT not in names:
        return None
    stages = [f"{OUTPUT}_{stage}" for stage in STAGES if f"{OUTPUT}_{stage}" in names]
    if len(names) != len(stages) + 1:
        return None
    last = schedule.get_sblock(OUTPUT)
    lanes = int(schedule.get(schedule.get_sblock(stages[0])).writes[0].source.shape[-1])
    n, i, h, e = schedule.get_loops(last)
    vectors, lane = schedule.split(i, [None, lanes])
    rows = schedule.sample_perfect_tile(vectors, 2, MOST)
    b0, b1 = schedule.split(vectors, rows)
    schedule.reorder(n, h, b0, b1, lane, e)
    part = schedule.fuse(n, h, b0)
    schedule.parallel(part)
    for name in stages:
        schedule.compute_at(schedule.get_sblock(name), part, preserve_unit_loops=True)
    most = vector_registers(target) - SPARE
    bounds = []
    for name in ("scores", "outputs"):
        tile = _summed(schedule, f"{OUTPUT}_{name}")
        bounds.append(Bound(f"registers of {name}", [(1, [rows[1], tile])], 1, most))
    for name in ("greatest", "total"):
        _reduced(schedule, f"{OUTPUT}_{name}")
    for name in ("weights", "masked"):
        if f"{OUTPUT}_{name}" in names:
            schedule.vectorize(schedule.get_loops(schedule.get_sblock(f"{OUTPUT}_{name}"))[-1])
    *_, depth, lane = schedule.get_loops(schedule.get_sblock(f"{OUTPUT}_query"))
    schedule.reorder(lane, depth)
    return Fitted(schedule.trace, bounds=[bounds])


def _summed(schedule: Schedule, name: str) -> Any:
    """Sums up products in registers; returns the number of them that each vector of rows has."""
    block = schedule.get_sblock(name)
    *_, b, j, lane, summed = schedule.get_loops(block)
    tiles = schedule.sample_perfect_tile(j, 2, MOST)
    j0, j1 = schedule.split(j, tiles)
    schedule.reorder(j0, summed, j1, b, lane)
    unroll(schedule, j1, b)
    schedule.vectorize(lane)
    copy = schedule.cache_write(block, 0, "local")
    schedule.reverse_compute_at(copy, j0, preserve_unit_loops=True)
    *loops, lane = schedule.get_loops(copy)[-3:]
    unroll(schedule, *loops)
    schedule.vectorize(lane)
    schedule.decompose_reduction(block, summed)
    return tiles[1]


def _reduced(schedule: Schedule, name: str) -> None:
    """Reduces vectors over the keys."""
    block = schedule.get_sblock(name)
    *_, lane, key = schedule.get_loops(block)
    schedule.reorder(key, lane)
    schedule.vectorize(lane)
    schedule.decompose_reduction(block, key)
