"""Splits the sums of a product into parts, and adds them up by a second kernel."""

from dataclasses import dataclass
from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.cuda_warp_tiles import choice, depths
from chameleon_ray.compiler.tensor_cores import WARP, Instruction

MOST_PARTS = 16
"""Most parts that sums are split into."""
THREADS, WIDTH = 128, 4
"""Threads of a block that adds up, and most neighbouring sums that one of them adds up."""


@dataclass(frozen=True)
class Split:
    """A product whose sums are split.

    Attributes:
        parts: Sampled number of parts.
        product: The block that computes the parts.
        total: The block that adds them up.
    """

    parts: Any
    product: Any
    total: Any


def split(schedule: Schedule, block: Any, instruction: Instruction) -> Split:
    """Splits a product's sums into a sampled number of parts, which become its first axis."""
    *_, k = schedule.get_loops(block)
    k, inner = schedule.split(k, [None, instruction.depth])
    parts = choice(schedule, numbers_of_parts(int(schedule.get(k).extent)))
    first, rest = schedule.split(k, [parts, None])
    schedule.fuse(rest, inner)
    product = schedule.rfactor(first, 0)
    *others, part, sums = schedule.get_loops(product)
    schedule.reorder(part, *others, sums)
    return Split(parts, product, block)


def numbers_of_parts(steps: int) -> list[int]:
    """Returns the choices of the number of parts; each part has whole steps of k1, and two."""
    deepest = depths(steps)[-1]
    most = min(MOST_PARTS, steps // 2)
    return [parts for parts in range(2, most + 1) if steps // deepest % parts == 0]


def add_up(schedule: Schedule, total: Any, last: Any, columns: int) -> None:
    """Adds up the parts of sums, and applies the last block to them, in a kernel of its own.

    Args:
        schedule: Schedule of the layer.
        total: The block that adds up.
        last: The block that reads the sums.
        columns: Number of columns.
    """
    width = next(width for width in (WIDTH, 2, 1) if columns % width == 0)
    *lead, i, j = schedule.get_loops(last)
    across = 1 << min(WARP, columns // width).bit_length() - 1
    i, threads_of_rows = schedule.split(i, [None, THREADS // across])
    j, threads, vector = schedule.split(j, [None, across, width])
    schedule.reorder(i, j, threads_of_rows, threads, vector)
    for axis, loop in zip("xyz", (i, j, *lead), strict=False):
        schedule.bind(loop, f"blockIdx.{axis}")
    schedule.bind(threads_of_rows, "threadIdx.y")
    schedule.bind(threads, "threadIdx.x")
    schedule.set_scope(total, 0, "local")
    schedule.compute_at(total, threads, preserve_unit_loops=True)
    schedule.vectorize(vector)
    part, *_, sums = schedule.get_loops(total)[-len(schedule.get(total).iter_vars) :]
    schedule.vectorize(sums)
    schedule.decompose_reduction(total, part)
