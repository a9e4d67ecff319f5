"""Schedules a product of matrices for tensor cores: blocks, warps, tiles, and their copies.

The loops, from the outside, of rows i, columns j and sums k:

    blocks j i0 j0 | warps i1 j1 | k0 | k1 | i2 j2 | a tile of 16 x 16 sums

In every step of k0 all threads of a block copy its part of both factors into shared memory, for as
many steps ahead as there are stages. In every step of k1 a warp loads its tiles of both into
registers. Sums stay in registers. What follows the product is applied to them there, as they are
written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm.s_tir import Schedule
from tvm.tirx import IndexMap

from chameleon_ray.compiler.tensor_cores import (
    SHARED,
    TILE,
    WARP,
    Instruction,
    factor_layout,
    sums_layout,
)

PADDING = 16
"""Bytes that rows in shared memory are padded by, so that 8 of them fill all banks once."""
WIDEST = 16
"""Most bytes that a thread copies at once."""
NARROWEST = 4
"""Fewest bytes that a thread can copy asynchronously."""

MOST_TILES = 8
"""Most tiles of rows, and of columns, that a warp has."""
DEPTHS = (1, 2, 4)
"""Choices of the steps of k1; with other numbers, places in shared memory take divisions."""
AHEAD = (1, 2, 3)
"""Choices of the steps that copies are ahead: two to four stages."""
EARLY = (0, 1)
"""Choices of the steps that a warp's loads of factors into registers are ahead."""
UNROLLED = (0, 512)
"""Choices of the most steps that a loop may have to be unrolled."""


@dataclass(frozen=True)
class Tiling:
    """The sampled numbers of a tiling.

    Attributes:
        rows: Blocks, warps and tiles of rows.
        columns: Blocks outside and inside of those of rows, warps and tiles of columns.
        parts: Number of parts that sums are split into; None where they are not.
        depth: Steps of k1.
        steps: Number of tiles of sums; it is the product of parts and of the steps of k0 and k1.
        ahead: Steps of k0 that copies are ahead.
        early: Steps of k1 that a warp's loads are ahead.
    """

    rows: Sequence[Any]
    columns: Sequence[Any]
    parts: Any
    depth: Any
    steps: int
    ahead: Any
    early: Any


@dataclass(frozen=True)
class Factor:
    """How a factor is copied.

    Attributes:
        axes: Its axes, as in ``Instruction.load``.
        vector: Number of elements that a thread copies at once.
    """

    axes: str
    vector: int


def on_warps(
    schedule: Schedule,
    block: Any,
    last: Any,
    instruction: Instruction,
    factors: Sequence[Factor],
    parts: Any = None,
) -> Tiling:
    """Schedules a product of matrices whose extents its tiles divide; samples the tiling.

    Args:
        schedule: Schedule of the layer.
        block: The product, with loops of leading axes, rows, columns and sums.
        last: The block that reads the product's sums.
        instruction: The instruction that multiplies.
        factors: How the left and the right factor are copied.
        parts: Number of parts that sums are split into; None where they are not.

    Returns:
        The sampled numbers.
    """
    tile, *loops = _tiles(schedule, block, instruction)
    tiling = _sampled(schedule, loops, parts)
    warp, steps, tiles = _bound(schedule, loops, tiling)
    for place, factor in enumerate(factors):
        _copy(schedule, tile, place, factor, instruction, steps[0], tiling)
    for place, factor in enumerate(factors):
        _load(schedule, tile, place, factor, instruction, steps[1])
    _unroll(schedule, *tiles)
    schedule.annotate(steps[1], "pragma_auto_unroll_max_step", choice(schedule, UNROLLED))
    schedule.annotate(steps[1], "pragma_unroll_explicit", 0)
    _sum(schedule, tile, last, warp, steps[0])
    (product,) = schedule.get_child_blocks(tile)
    name = instruction.product(factors[1].axes == "nk")
    schedule.tensorize(schedule.get_loops(product)[-3], name)
    _pipeline(schedule, steps, tiling, instruction, factors)
    return tiling


def _sampled(schedule: Schedule, loops: Sequence[Any], parts: Any) -> Tiling:
    """Samples the tiling of loops over tiles."""
    i, j, k = loops
    steps = int(schedule.get(k).extent)
    return Tiling(
        schedule.sample_perfect_tile(i, 3, MOST_TILES),
        schedule.sample_perfect_tile(j, 4, MOST_TILES),
        parts,
        choice(schedule, depths(steps)),
        steps if parts is None else steps * int(schedule.get(parts)),
        choice(schedule, AHEAD),
        choice(schedule, EARLY),
    )


def depths(steps: int) -> list[int]:
    """Returns the choices of the steps of k1 where there are so many in all."""
    return [depth for depth in DEPTHS if steps % depth == 0]


def _tiles(schedule: Schedule, block: Any, instruction: Instruction) -> tuple[Any, ...]:
    """Makes tiles one block; returns it, and the loops over tiles of rows, columns and sums."""
    *lead, i, j, k = schedule.get_loops(block)
    if lead:
        schedule.bind(schedule.fuse(*lead) if len(lead) > 1 else lead[0], "blockIdx.z")
    i, rows = schedule.split(i, [None, TILE])
    j, columns = schedule.split(j, [None, TILE])
    k, sums = schedule.split(k, [None, instruction.depth])
    schedule.reorder(i, j, k, rows, columns, sums)
    return schedule.blockize(rows), i, j, k


def _bound(schedule: Schedule, loops: Sequence[Any], tiling: Tiling) -> tuple[Any, Any, Any]:
    """Binds loops over tiles to a grid.

    Returns:
        The loop over a block's warps, those of k0 and k1, and those over a warp's tiles.
    """
    i, j, k = loops
    i0, i1, i2 = schedule.split(i, tiling.rows)
    outside, j0, j1, j2 = schedule.split(j, tiling.columns)
    k0, k1 = schedule.split(k, [None, tiling.depth])
    schedule.reorder(outside, i0, j0, i1, j1, k0, k1, i2, j2)
    schedule.bind(schedule.fuse(outside, i0, j0), "blockIdx.x")
    schedule.bind(i1, "threadIdx.y")
    schedule.bind(j1, "threadIdx.z")
    return j1, (k0, k1), (i2, j2)


def _copy(
    schedule: Schedule,
    tile: Any,
    place: int,
    factor: Factor,
    instruction: Instruction,
    step: Any,
    tiling: Tiling,
) -> None:
    """Copies a factor's part into shared memory in every step of k0, by all threads."""
    copy = schedule.cache_read(tile, place, SHARED)
    schedule.compute_at(copy, step, preserve_unit_loops=True)
    while producers := schedule.get_producers(copy):
        for producer in producers:
            schedule.compute_inline(producer)
    fused = schedule.fuse(*schedule.get_loops(copy)[-2:])
    threads = [tiling.columns[2], tiling.rows[1], WARP]
    loop, *parts, vector = schedule.split(fused, [None, *threads, factor.vector])
    for axis, part in zip("zyx", parts, strict=True):
        schedule.bind(part, f"threadIdx.{axis}")
    schedule.vectorize(vector)
    schedule.annotate(loop, "pragma_auto_unroll_max_step", choice(schedule, UNROLLED))
    schedule.annotate(loop, "pragma_unroll_explicit", 0)
    size = bytes_of(instruction)
    schedule.storage_align(copy, 0, -2, 2 * PADDING // size, PADDING // size)


def _load(
    schedule: Schedule, tile: Any, place: int, factor: Factor, instruction: Instruction, step: Any
) -> None:
    """Loads a factor's tiles into a warp's registers in every step of k1."""
    load = schedule.cache_read(tile, place, "local")
    schedule.compute_at(load, step, preserve_unit_loops=True)
    sizes = [TILE if axis in "mn" else instruction.depth for axis in factor.axes]
    rank = len(schedule.get(load).iter_vars)
    schedule.transform_layout(
        load, ("write", 0), _tiled(schedule, load, rank, factor_layout(*sizes))
    )
    loops = [
        schedule.split(loop, [None, size])
        for loop, size in zip(schedule.get_loops(load)[-2:], sizes, strict=True)
    ]
    (outer_rows, rows), (outer_columns, columns) = loops
    schedule.reorder(outer_rows, outer_columns, rows, columns)
    _unroll(schedule, outer_rows, outer_columns)
    schedule.tensorize(rows, instruction.load(factor.axes))


def _sum(schedule: Schedule, tile: Any, last: Any, warp: Any, step: Any) -> None:
    """Keeps sums in a warp's registers: sets them to 0, and reads them for the last block."""
    schedule.set_scope(tile, 0, "warp")
    schedule.reverse_compute_at(last, warp, preserve_unit_loops=True)
    *_, rows, columns = schedule.get_loops(last)
    schedule.vectorize(_by_threads(schedule, rows, columns))
    rank = len(schedule.get(tile).writes[0].region)
    layout = _tiled(schedule, tile, rank, sums_layout)
    schedule.transform_layout(tile, ("write", 0), layout)
    start = schedule.decompose_reduction(tile, step)
    (zero,) = schedule.get_child_blocks(start)
    _unroll(schedule, *schedule.get_loops(start)[-2:])
    _by_threads(schedule, *schedule.get_loops(zero))


def _unroll(schedule: Schedule, *loops: Any) -> None:
    """Has loops, of which the first is the outermost, unrolled by NVIDIA's compiler."""
    schedule.annotate(loops[0], "pragma_unroll_explicit", 0)
    for loop in loops:
        schedule.unroll(loop)


def _by_threads(schedule: Schedule, rows: Any, columns: Any) -> Any:
    """Splits loops over sums into those over threads and over what each thread has of them.

    Returns:
        The innermost loop, over two neighbouring sums.
    """
    i0, i1, i2 = schedule.split(rows, [None, 2, 8])
    j0, j1, j2, j3 = schedule.split(columns, [None, 2, 4, 2])
    schedule.reorder(i0, j0, i2, j2, j1, i1, j3)
    schedule.bind(schedule.fuse(i2, j2), "threadIdx.x")
    _unroll(schedule, i0, j0)
    _unroll(schedule, j1, i1)
    return j3


def _tiled(schedule: Schedule, block: Any, rank: int, layout: Callable[..., list[Any]]) -> IndexMap:
    """Makes the map of a buffer's indices that lays out its last two by a layout."""
    dtype = str(schedule.get(block).iter_vars[0].var.ty)

    def place(*indices: Any) -> list[Any]:
        return [*indices[:-2], *layout(*indices[-2:])]

    return IndexMap.from_func(place, ndim=rank, index_dtype=dtype)


def choice(schedule: Schedule, numbers: Sequence[int]) -> Any:
    """Samples one of some numbers."""
    return schedule.sample_categorical(list(numbers), [1 / len(numbers)] * len(numbers))


def _pipeline(
    schedule: Schedule,
    steps: Sequence[Any],
    tiling: Tiling,
    instruction: Instruction,
    factors: Sequence[Factor],
) -> None:
    """Lets copies and loads run ahead; copies asynchronously, if their vectors are wide enough.

    To TVM the inner loop is three parts of the outer one: first loads, steps, and last sums.
    """
    outer, inner = steps
    schedule.annotate(outer, "software_pipeline_stage", [0, 0, *[tiling.ahead] * 3])
    schedule.annotate(outer, "software_pipeline_order", [0, 1, 2, 3, 4])
    schedule.annotate(inner, "software_pipeline_stage", [0, 0, tiling.early])
    schedule.annotate(inner, "software_pipeline_order", [0, 1, 2])
    if all(factor.vector * bytes_of(instruction) >= NARROWEST for factor in factors):
        schedule.annotate(outer, "software_pipeline_async_stages", [0])


def bytes_of(instruction: Instruction) -> int:
    """Bytes of an element of a factor."""
    return 4 if instruction.dtype == "float32" else 2
