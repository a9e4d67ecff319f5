"""Slices of a reduction on CUDA: blocks that share a result's sum, and the kernel that adds it up.

A layer of few results does not fill a GPU, however long its sums are. In slices, each block adds up
a part of a sum and stores it. A second kernel adds the parts in a fixed order, so that results are
the same in every run.
"""

import math
from collections.abc import Sequence
from typing import Any

from tvm.s_tir import Schedule

SLICES = (2, 16)
"""Fewest slices of a sum, and most that are worth adding up."""
FILLED = 1 << 17
"""Number of results that fill any GPU: 1024 in each of 128 blocks."""
LEAST = 64
"""Fewest terms of a sum that is worth slicing."""
THREADS = 128
"""Threads of a block of the kernel that adds slices up."""


def are_useful(outputs: Sequence[int], reduced: Sequence[int]) -> bool:
    """Whether slices may pay for a layer, by the extents of its results and of its sums."""
    longest = max(reduced)
    return (
        math.prod(outputs) <= FILLED
        and math.prod(reduced) >= LEAST
        and any(longest % slices == 0 for slices in range(SLICES[0], SLICES[1] + 1))
    )


def sliced(schedule: Schedule, block: Any, spatial: int) -> tuple[Any, list[Any]]:
    """Slices the longest axis of a block's sums; samples how many slices, and their tiles.

    Args:
        schedule: Schedule of the layer.
        block: Handle of the block, which adds up the slices from then on.
        spatial: Number of the block's results' axes.

    Returns:
        Handle of a new block that makes the slices, numbered by its first axis; the number of the
        axis among those of its sums, and the sizes of two tiles of a slice.
    """
    loops = schedule.get_loops(block)
    extents = [int(schedule.get(loop).extent) for loop in loops[spatial:]]
    place = extents.index(max(extents))
    count, *tiles = schedule.sample_perfect_tile(loops[spatial + place], 3, max(extents))
    slices, _ = schedule.split(loops[spatial + place], [count, None])
    schedule.reorder(slices, *loops[:spatial])
    return schedule.rfactor(slices, 0), [place, *tiles]


def add_up(schedule: Schedule, block: Any, last: str) -> None:
    """Schedules the kernel that adds slices up, thread by thread, and applies what follows.

    Args:
        schedule: Schedule of the layer.
        block: Handle of the block that adds up.
        last: Name of the elementwise block that follows; empty where there is none.
    """
    write = schedule.cache_write(block, 0, "local")
    if last:
        schedule.reverse_compute_inline(schedule.get_sblock(last))
    fused = schedule.fuse(*schedule.get_loops(write))
    grid, thread = schedule.split(fused, [None, THREADS])
    schedule.bind(grid, "blockIdx.x")
    schedule.bind(thread, "threadIdx.x")
    schedule.compute_at(block, thread, preserve_unit_loops=True)
