"""A template for CPUs: a block of a convolution's output, or a matrix product's, in registers.

The loops, from the outside, of a convolution with image n, row y, column x, output channel f:

    parallel n f0 y0 | f1 y1 x0 | c0 i j c1 | y2 x2 f2, a vector of channels

The innermost loops are unrolled. They sum up y2 x2 f2 vectors in registers over the whole kernel, i
by j, and all input channels c. The operators after the convolution are applied to these sums before
they are stored. A weight in a register serves y2 x2 products, an input f2. The tiles f1, y1, x0 and
c0 decide which inputs and weights are met again while they are in a cache.

A padded input is a stage of its own before all others. Where each channel is summed for itself, it
is made part by parallel part.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.passes.pack_weights import NARROWEST, lanes
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.reduction import Reduction, find_reduction
from chameleon_ray.compiler.spaces.templates.template import Fitted
from chameleon_ray.compiler.target import vector_registers

VECTORS = 8
"""Most vectors of output channels in a block."""
CHANNELS = 64
"""Most input channels in the inner loop over them."""
KERNEL = 25
"""Most elements of a kernel that is unrolled where every channel has its own."""
SPARE = 4
"""Registers left for inputs and weights."""
DTYPES = ("float32", "float64")


def cpu_direct(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    layer = find_reduction(module)
    if layer is None or layer.shared is None or layer.dtype not in DTYPES:
        return None
    if len(layer.outputs) < 2 or (layer.operands < 2 and math.prod(layer.outputs[:-1]) > 1):
        return None
    with target:
        vector = math.gcd(lanes(layer.outputs[-1], layer.dtype), layer.lanes)
    if vector < NARROWEST:
        return None
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    for name in (*layer.copies, *layer.between):
        schedule.compute_inline(schedule.get_sblock(name))
    most = vector_registers(target) - SPARE
    block = summed(schedule, layer, vector, most)
    fewest = most // 4 if layer.operands > 1 else 1  # a mean has few sums, and needs its parts
    return Fitted(schedule.trace, block, (fewest, most))


def pad(schedule: Schedule, layer: Reduction, vector: int, part: Any) -> None:
    """Pads the input at first, or part by parallel part where every channel is read once."""
    block = schedule.get_sblock(layer.padding)
    rank = len(schedule.get_loops(block))
    if not layer.shared:
        schedule.compute_at(block, part, preserve_unit_loops=True)
    *outer, channels = schedule.get_loops(block)[-rank:]
    if int(schedule.get(channels).extent) % vector == 0:
        schedule.vectorize(schedule.split(channels, [None, vector])[1])
    if layer.shared:
        schedule.parallel(schedule.fuse(*outer[:2]))


def summed(schedule: Schedule, layer: Reduction, vector: int, most: int) -> list[Any]:
    """Schedules the reduction and the operators after it; returns the innermost tiles.

    A layer that has dot products is described without the axis that these reduce.
    """
    block, rank = schedule.get_sblock(layer.block), len(layer.outputs)
    last = (
        schedule.get_sblock(layer.last) if layer.last else schedule.cache_write(block, 0, "local")
    )
    loops = schedule.get_loops(block)
    rows = loops[1 : rank - 1] if rank > 3 else loops[rank - 2 : rank - 1]
    vectors, lane = schedule.split(loops[rank - 1], [None, vector])
    limits = [(vectors, 3, VECTORS), (rows[0], 3, most), *((row, 2, most) for row in rows[1:])]
    sizes = [schedule.sample_perfect_tile(loop, parts, limit) for loop, parts, limit in limits]
    f, first, *others = [
        schedule.split(loop, tiles) for (loop, _, _), tiles in zip(limits, sizes, strict=True)
    ]
    end = rank + len(layer.reduced)
    kernel, products = _kernel(schedule, layer, loops[rank:end]), loops[end:]
    middle = [f[1], first[1], *(row[0] for row in others)]
    inner = [first[2], *(row[1] for row in others), f[2]]
    outer = [*loops[: rank - 1 - len(rows)], f[0], first[0]]
    schedule.reorder(*outer, *middle, *kernel, *inner, lane, *products)
    part = schedule.fuse(*outer)
    schedule.parallel(part)
    if layer.padding:
        pad(schedule, layer, vector, part)
    unroll(schedule, *inner)
    if not layer.dot:
        schedule.vectorize(lane)
    schedule.reverse_compute_at(last, middle[-1], preserve_unit_loops=True)
    *block_rows, channels = schedule.get_loops(last)[-rank:]
    vectorize(schedule, *block_rows, *schedule.split(channels, [None, vector]))
    if layer.last:
        schedule.set_scope(block, 0, "local")
    zeroed(schedule, block, kernel[0], layer.dot)
    if layer.dot:
        schedule.tensorize(lane, layer.dot)
    return [tiles[-1] for tiles in sizes]


def zeroed(schedule: Schedule, block: Any, loop: Any, dot: str) -> None:
    """Sets a block's sums to zero before a loop; in vectors, even if ``dot`` makes the sums."""
    zeros = schedule.decompose_reduction(block, loop)
    if dot:
        schedule.vectorize(schedule.get_loops(zeros)[-1])


def _kernel(schedule: Schedule, layer: Reduction, loops: list[Any]) -> list[Any]:
    """Returns the loops of the reduction, in their order."""
    *window, channels = layer.reduced
    if layer.shared and math.prod(window) > 1 and channels > 1:
        outer, inner = schedule.split(
            loops[-1], schedule.sample_perfect_tile(loops[-1], 2, CHANNELS)
        )
        return [outer, *loops[:-1], inner]
    if not layer.shared and math.prod(layer.reduced) <= KERNEL:
        unroll(schedule, *loops)
    return loops


def vectorize(schedule: Schedule, *loops: Any) -> None:
    """Unrolls loops except for the last, which becomes a vector."""
    unroll(schedule, *loops[:-1])
    schedule.vectorize(loops[-1])


def unroll(schedule: Schedule, *loops: Any) -> None:
    """Unrolls loops."""
    for loop in loops:
        schedule.unroll(loop)


def fewest(vectors: int, others: Sequence[int], most: int) -> int:
    """Returns the fewest sums in registers that are worth it, where there can be as many.

    Args:
        vectors: Number of vectors of channels, or of columns.
        others: Extents of the other loops that tiles divide.
        most: Most sums.
    """
    tiles = [[n for n in range(1, most + 1) if extent % n == 0] for extent in (vectors, *others)]
    tiles[0] = [n for n in tiles[0] if n <= VECTORS]
    return min(most // 4, max(n for n in map(math.prod, product(*tiles)) if n <= most))
