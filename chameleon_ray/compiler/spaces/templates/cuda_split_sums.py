"""Splits the sums of a product into parts, and adds them up by a second kernel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.cuda_warp_tiles import MOST_STEPS
from chameleon_ray.compiler.tensor_cores import WARP, Instruction

THREADS, WIDTH = 128, 4
"""Threads of a block that adds up, and most neighbouring sums that one of them adds up."""


@dataclass(frozen=True)
class Split:
    """A product whose sums are split.

    Attributes:
        parts: Sampled number of parts.
        depth: Sampled numbers of a part's steps, outer and inner.
        product: The block that computes the parts.
        total: The block that adds them up.
    """

    parts: Any
    depth: Sequence[Any]
    product: Any
    total: Any


def split(schedule: Schedule, block: Any, instruction: Instruction) -> Split:
    """Splits a product's sums into a sampled number of parts, which become its first axis."""
    *_, k = schedule.get_loops(block)
    k, inner = schedule.split(k, [None, instruction.depth])
    parts, *depth = schedule.sample_perfect_tile(k, 3, MOST_STEPS)
    first, *rest = schedule.split(k, [parts, *depth])
    schedule.fuse(*rest, inner)
    product = schedule.rfactor(first, 0)
    *others, part, sums = schedule.get_loops(product)
    schedule.reorder(part, *others, sums)
    return Split(parts, depth, product, block)


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
    across = min(WARP, columns // width)
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
