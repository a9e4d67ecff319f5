"""A template for CPUs: products of matrices whose columns fill no vectors as they are stored.

It fits what ``cpu_direct`` does not: attention's products over an odd number of words, right
factors with a row per column, and convolutions, as implicit products, with odd numbers of filters.
The loops, from the outside, with batch b, rows i, columns j and sums k:

    parallel b i0 j0 | pack columns | j1 i1 j2 i2 | k | i3 j3, a vector of columns
                     | what follows, row by row

The columns of a part are first packed as ``[j / v, k, j % v]``, with v columns to the vector and
zeros behind the last one. A block of i3 j3 vectors is summed up in registers. The other tiles
decide which rows and columns are met again while they are in a cache. A part's sums are stored in
whole vectors; what follows the product is done to them as they are copied to the layer's output.

Sketches: rows are read where they are, or a few of them are copied first, so that a row begins at
another place of the cache than the one before; each also with vectors half as long, where these
waste far fewer columns.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tvm
from tvm.s_tir import Schedule

from chameleon_ray.compiler.passes.pack_weights import NARROWEST
from chameleon_ray.compiler.passes.pad_extents import USEFUL
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.cpu_direct import (
    DTYPES,
    SPARE,
    VECTORS,
    fewest,
    pad,
    unroll,
    vectorize,
    zeroed,
)
from chameleon_ray.compiler.spaces.templates.matrix_product import (
    COLUMNS,
    DEPTH,
    ROWS,
    MatrixProduct,
    as_product,
    find_product,
    flatten_factor,
)
from chameleon_ray.compiler.spaces.templates.reduction import Reduction, find_reduction
from chameleon_ray.compiler.spaces.templates.template import Bound, Fitted
from chameleon_ray.compiler.target import vector_bits, vector_registers

UNROLLED = (1, 2, 4, 8)
"""Choices of the sums in one step of the innermost loop over them; those that divide them."""
SAVING = 0.8
"""Greatest share of the columns that is computed with vectors half as long, if these are tried."""
LINE = 16
"""Elements by which copied rows are apart, modulo twice as many, so that a cache spreads them."""


@dataclass(frozen=True)
class Tiles:
    """The block of sums in registers.

    Attributes:
        rows: The sampled number of its rows.
        vectors: The sampled number of vectors of columns.
        extents: All rows, and all vectors of columns.
    """

    rows: Any
    vectors: Any
    extents: tuple[int, int]

    def fewest(self, most: int) -> int:
        """Returns the fewest sums that are worth it, where there can be as many."""
        rows, vectors = self.extents
        return fewest(vectors, (rows,), most)


def cpu_packed(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    layer = find_reduction(module)
    if layer is None or layer.dot or layer.dtype not in DTYPES:
        return None
    product = find_product(module, layer)
    if product is None or product.dtype != layer.dtype:
        return None
    longest = vector_bits(target) // tvm.DataType(layer.dtype).bits
    if product.extent(COLUMNS) < NARROWEST or product.extent(ROWS) < USEFUL.start:
        return None
    most = vector_registers(target) - SPARE
    made = [
        scheduled(module, layer, product, vector, most, copied)
        for vector in _vectors(product.extent(COLUMNS), longest)
        for copied in (False, True)
    ]
    first, *others = (trace for trace, _ in made)
    bounds = [
        (Bound("registers", [(1, [tiles.rows, tiles.vectors])], tiles.fewest(most), most),)
        for _, tiles in made
    ]
    return Fitted(first, others=others, bounds=bounds)


def _vectors(columns: int, longest: int) -> list[int]:
    """Returns the longest vector, and its half where far fewer columns are computed with that."""
    whole, half = (-(-columns // lanes) * lanes for lanes in (longest, longest // 2))
    return [longest, longest // 2] if half <= SAVING * whole else [longest]


def scheduled(
    module: Any, layer: Reduction, product: MatrixProduct, vector: int, most: int, copied: bool
) -> tuple[Any, Tiles]:
    """Schedules a product; returns the trace, and what it samples of the registers.

    Args:
        module: IRModule with one PrimFunc ``main``.
        layer: The layer's reduction.
        product: The reduction as a product of matrices.
        vector: Columns in a vector.
        most: Most registers for sums.
        copied: Whether a few rows are copied before they are multiplied.
    """
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    last = as_product(schedule, layer, product)
    block = schedule.get_sblock(layer.block)
    multiple = _multiple(product.extent(ROWS))
    schedule.pad_einsum(block, [1] * product.leading + [multiple, vector, 1])
    _inline_between(schedule, last, layer.block)
    left, right = (_factor(schedule, block, place, layer.padding) for place in (0, 1))
    schedule.transform_layout(right, ("write", 0), _panels(product, vector))
    sums = schedule.cache_write(block, 0, "local")
    part, (i1, i2), k, tiles = _tiled(schedule, block, product, vector, most)
    _pack(schedule, right, part, product, vector)
    if copied:
        flatten_factor(schedule, left, product, COLUMNS)
        _copy(schedule, left, i1)
    else:
        schedule.compute_inline(left)
    if layer.padding:
        pad(schedule, layer, vector, part)
    schedule.reverse_compute_at(sums, i2, preserve_unit_loops=True)
    *rows, columns = schedule.get_loops(sums)[-2:]
    vectorize(schedule, *rows, *schedule.split(columns, [None, vector]))
    schedule.reverse_compute_at(last, part, preserve_unit_loops=True)
    zeroed(schedule, block, k, "")
    return schedule.trace, tiles


def _multiple(rows: int) -> int:
    """Returns what rows are padded to a multiple of, so that a useful number divides them."""
    if rows < USEFUL.stop or any(rows % n == 0 for n in USEFUL):
        return 1
    return min(reversed(USEFUL), key=lambda n: -(-rows // n) * n)


def _inline_between(schedule: Schedule, last: Any, first: str) -> None:
    """Inlines what lies between the product and the last block."""
    while True:
        made = schedule.get_producers(last)
        found = [handle for handle in made if schedule.get(handle).name_hint != first]
        if not found:
            return
        schedule.compute_inline(found[0])


def _factor(schedule: Schedule, block: Any, place: int, kept: str) -> Any:
    """Returns the block that makes a factor; all that it is made from is inlined, but for one."""
    source = schedule.get(block).reads[place].source
    (made,) = (
        handle
        for handle in schedule.get_producers(block)
        if schedule.get(handle).writes[0].source.same_as(source)
    )
    while before := [h for h in schedule.get_producers(made) if schedule.get(h).name_hint != kept]:
        schedule.compute_inline(before[0])
    return made


def _panels(product: MatrixProduct, vector: int) -> Callable[..., list[Any]]:
    """Returns the map of a right factor's indices to those of panels of columns."""

    def panel(*place: Any) -> list[Any]:
        *batch, first, second = place
        column, k = (first, second) if product.transposed else (second, first)
        return [*batch, column // vector, k, column % vector]

    return panel


def _tiled(
    schedule: Schedule, block: Any, product: MatrixProduct, vector: int, most: int
) -> tuple[Any, tuple[Any, Any], Any, Tiles]:
    """Tiles the product.

    Returns:
        The parallel loop; the loops around a panel's rows, and around a block in registers; the
        loop over sums; the innermost tiles.
    """
    *batch, i, j, k = schedule.get_loops(block)
    vectors, lane = schedule.split(j, [None, vector])
    extents = int(schedule.get(i).extent), int(schedule.get(vectors).extent)
    rows = schedule.sample_perfect_tile(i, 4, most)
    columns = schedule.sample_perfect_tile(vectors, 4, VECTORS)
    i0, i1, i2, i3 = schedule.split(i, rows)
    j0, j1, j2, j3 = schedule.split(vectors, columns)
    choices = [n for n in UNROLLED if product.extent(DEPTH) % n == 0]
    step = schedule.sample_categorical(choices, [1 / len(choices)] * len(choices))
    k0, k1 = schedule.split(k, [None, step])
    schedule.reorder(*batch, i0, j0, j1, i1, j2, i2, k0, k1, i3, j3, lane)
    part = schedule.fuse(*batch, i0, j0)
    schedule.parallel(part)
    unroll(schedule, k1, i3, j3)
    schedule.vectorize(lane)
    return part, (i1, i2), k0, Tiles(rows[-1], columns[-1], extents)


def _pack(schedule: Schedule, right: Any, part: Any, product: MatrixProduct, vector: int) -> None:
    """Packs a part's columns, vector by vector."""
    schedule.compute_at(right, part, preserve_unit_loops=True)
    first, second = schedule.get_loops(right)[-2:]
    column, k = (first, second) if product.transposed else (second, first)
    vectors, lane = schedule.split(column, [None, vector])
    schedule.reorder(vectors, k, lane)
    schedule.vectorize(lane)


def _copy(schedule: Schedule, left: Any, loop: Any) -> None:
    """Copies some rows of the left factor, in vectors."""
    schedule.compute_at(left, loop, preserve_unit_loops=True)
    schedule.storage_align(left, 0, -2, 2 * LINE, LINE)
    depth = schedule.get_loops(left)[-1]
    run = math.gcd(int(schedule.get(depth).extent), LINE)
    schedule.vectorize(schedule.split(depth, [None, run])[1])
