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
COPIES = "meta_schedule.cooperative_fetch"
"""Annotation by which a postprocessor of TVM's binds a copy to a block's threads, in vectors."""
VECTORS = (1, 2, 4)
"""Choices of elements that a thread fetches at once."""


def on_grid(
    schedule: Schedule,
    block: Any,
    outer: int,
    steps: Sequence[int],
    cut: Sequence[Any] = (),
    vectors: bool = False,
) -> Any:
    """Schedules a reduction; samples the tilings of its results and of its sums, and the unrolling.

    Args:
        schedule: Schedule of the layer.
        block: Handle of the block, whose loops are its iterators in order.
        outer: Number of first axes that are bound to blocks untiled; two or three are left.
        steps: Choices of the most steps that a loop may have, in all, to be unrolled.
        cut: Number of the sums' axis whose tiles' sizes are given, and the sizes; see ``sliced``.
        vectors: Whether threads fetch vectors, whose lengths are sampled; on a grid of two axes.

    Returns:
        Handle of the block that writes the results, thread by thread.
    """
    loops = schedule.get_loops(block)
    iterators = schedule.get(block).iter_vars
    results = sum(int(iterator.iter_type) == PARALLEL for iterator in iterators)
    sizes, tiles = _tiled(schedule, loops[outer:results], 4)
    sums = _summed(schedule, loops[results:], cut)
    blocks, virtual, threads, own = zip(*tiles, strict=True)
    first, inner = zip(*sums, strict=True)
    schedule.reorder(*loops[:outer], *blocks, *virtual, *threads, *first, *inner, *own)
    grid = _bound(schedule, [*loops[:outer], *blocks], virtual, threads)
    for end, threads_of_end in zip(("low", "high"), THREADS, strict=True):
        schedule.annotate(block, f"meta_schedule.thread_extent_{end}_inclusive", threads_of_end)
    write = schedule.cache_write(block, 0, "local")
    schedule.reverse_compute_at(write, threads[-1], preserve_unit_loops=True)
    for operand in range(2):
        _fetch(schedule, block, operand, first[-1], [] if vectors else [size[2] for size in sizes])
    schedule.annotate(grid, "pragma_auto_unroll_max_step", _one_of(schedule, steps))
    schedule.annotate(grid, "pragma_unroll_explicit", _one_of(schedule, (0, 1)))
    return write


def _one_of(schedule: Schedule, choices: Sequence[int]) -> Any:
    """Samples one of some numbers."""
    return schedule.sample_categorical(list(choices), [1 / len(choices)] * len(choices))


def _bound(
    schedule: Schedule, heads: Sequence[Any], virtual: Sequence[Any], threads: Sequence[Any]
) -> Any:
    """Binds loops to blocks, the first ones together, and to threads; returns the outermost."""
    grid = [schedule.fuse(*heads[:-2]), *heads[-2:]] if len(heads) > 2 else heads
    for axis, loop in zip(AXES[-len(grid) :], grid, strict=True):
        schedule.bind(loop, f"blockIdx.{axis}")
    for axis, split, thread in zip(AXES[-len(threads) :], virtual, threads, strict=True):
        schedule.bind(split, f"vthread.{axis}")
        schedule.bind(thread, f"threadIdx.{axis}")
    return grid[0]


def _tiled(schedule: Schedule, loops: Sequence[Any], parts: int) -> tuple[list[Any], list[Any]]:
    """Splits loops into tiles; returns the sampled sizes of each loop's tiles, and the tiles."""
    extents = [int(schedule.get(loop).extent) for loop in loops]
    sizes = [
        schedule.sample_perfect_tile(loop, parts, extent)
        for loop, extent in zip(loops, extents, strict=True)
    ]
    return sizes, [schedule.split(loop, size) for loop, size in zip(loops, sizes, strict=True)]


def _summed(schedule: Schedule, loops: Sequence[Any], cut: Sequence[Any]) -> list[Any]:
    """Splits the loops of sums into two tiles each, of which one loop's sizes may be given."""
    if not cut:
        return _tiled(schedule, loops, 2)[1]
    place, *sizes = cut
    others = iter(_tiled(schedule, [*loops[:place], *loops[place + 1 :]], 2)[1])
    return [
        schedule.split(loop, sizes) if number == place else next(others)
        for number, loop in enumerate(loops)
    ]


def _fetch(schedule: Schedule, block: Any, operand: int, step: Any, threads: Sequence[Any]) -> None:
    """Keeps an operand in shared memory, filled by all threads in every step.

    Threads fetch elements, or, where their numbers are left to TVM, vectors of sampled lengths.
    """
    fetch = schedule.cache_read(block, operand, "shared")
    schedule.compute_at(fetch, step, preserve_unit_loops=True)
    rank = len(schedule.get(fetch).iter_vars)
    fused = schedule.fuse(*schedule.get_loops(fetch)[-rank:])
    if not threads:
        schedule.annotate(fetch, COPIES, _one_of(schedule, VECTORS))
        return
    _, *parts = schedule.split(fused, [None, *threads])
    for axis, part in zip(AXES[-len(parts) :], parts, strict=True):
        schedule.bind(part, f"threadIdx.{axis}")
