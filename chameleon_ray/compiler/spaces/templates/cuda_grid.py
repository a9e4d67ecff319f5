"""Tiles a reduction of two operands and binds its loops to a CUDA grid.

The loops, from the outside, of results over axes z, y, x, and sums over r, s, ...:

    blocks z0 y0 x0 | virtual threads z1 y1 x1 | threads z2 y2 x2 | r0 s0 | r1 s1 | z3 y3 x3

A block's part of both operands is fetched into shared memory in every step of r0 s0. All of its
threads fetch it together, neighbouring threads neighbouring elements. Sums stay in a thread's
registers.
"""

from collections.abc import Sequence
from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.reduction import PARALLEL

AXES = "zyx"
THREADS = (32, 1024)
"""Fewest threads of a block, as with fewer lanes are idle, and most on any device."""


def on_grid(schedule: Schedule, name: str, outer: int, steps: Sequence[int]) -> Any:
    """Schedules a reduction; samples the tilings of its results and of its sums, and the unrolling.

    Args:
        schedule: Schedule of the layer.
        name: Name of the block.
        outer: Number of first axes that are bound to blocks untiled; two or three are left.
        steps: Choices of the most steps that a loop may have, in all, to be unrolled.

    Returns:
        Handle of the block that writes the results, thread by thread.
    """
    block = schedule.get_sblock(name)
    loops = schedule.get_loops(block)
    iterators = schedule.get(block).iter_vars
    results = sum(int(iterator.iter_type) == PARALLEL for iterator in iterators)
    sizes, tiles = _tiled(schedule, loops[outer:results], 4)
    _, sums = _tiled(schedule, loops[results:], 2)
    blocks, virtual, threads, own = zip(*tiles, strict=True)
    first, inner = zip(*sums, strict=True)
    schedule.reorder(*loops[:outer], *blocks, *virtual, *threads, *first, *inner, *own)
    axes = AXES[-len(blocks) :]
    heads = [*loops[:outer], *blocks]
    grid = [schedule.fuse(*heads[:-2]), *heads[-2:]] if len(heads) > 2 else heads
    for axis, loop in zip(AXES[-len(grid) :], grid, strict=True):
        schedule.bind(loop, f"blockIdx.{axis}")
    for axis, split, thread in zip(axes, virtual, threads, strict=True):
        schedule.bind(split, f"vthread.{axis}")
        schedule.bind(thread, f"threadIdx.{axis}")
    for end, threads_of_end in zip(("low", "high"), THREADS, strict=True):
        schedule.annotate(block, f"meta_schedule.thread_extent_{end}_inclusive", threads_of_end)
    write = schedule.cache_write(block, 0, "local")
    schedule.reverse_compute_at(write, threads[-1], preserve_unit_loops=True)
    for operand in range(2):
        _fetch(schedule, block, operand, first[-1], [size[2] for size in sizes])
    unrolled = schedule.sample_categorical(list(steps), [1 / len(steps)] * len(steps))
    schedule.annotate(grid[0], "pragma_auto_unroll_max_step", unrolled)
    explicit = schedule.sample_categorical([0, 1], [0.5, 0.5])
    schedule.annotate(grid[0], "pragma_unroll_explicit", explicit)
    return write


def _tiled(schedule: Schedule, loops: Sequence[Any], parts: int) -> tuple[list[Any], list[Any]]:
    """Splits loops into tiles; returns the sampled sizes of each loop's tiles, and the tiles."""
    extents = [int(schedule.get(loop).extent) for loop in loops]
    sizes = [
        schedule.sample_perfect_tile(loop, parts, extent)
        for loop, extent in zip(loops, extents, strict=True)
    ]
    return sizes, [schedule.split(loop, size) for loop, size in zip(loops, sizes, strict=True)]


def _fetch(schedule: Schedule, block: Any, operand: int, step: Any, threads: Sequence[Any]) -> None:
    """Keeps an operand in shared memory, filled by all threads in every step."""
    fetch = schedule.cache_read(block, operand, "shared")
    schedule.compute_at(fetch, step, preserve_unit_loops=True)
    rank = len(schedule.get(fetch).iter_vars)
    fused = schedule.fuse(*schedule.get_loops(fetch)[-rank:])
    _, *parts = schedule.split(fused, [None, *threads])
    for axis, part in zip(AXES[-len(parts) :], parts, strict=True):
        schedule.bind(part, f"threadIdx.{axis}")
