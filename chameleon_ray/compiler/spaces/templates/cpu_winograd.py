"""The template of Winograd convolutions on CPUs: a few rows of tiles from inputs to outputs.

The loops, from the outside, with image n, a tile's row y and column x, channels c in and f out:

    parallel n y0 | transform: y1 y2 x, vectors of c
                  | multiply: places of a tile, f0 y1 x0 | c | y2 x1 f1, a vector of f
                  | transform back: y1 y2 x, vectors of f

A part's transformed inputs and its products stay in the cache. Products are summed up in registers
as in ``cpu_direct``. A tile is transformed in registers, where the elementwise operators that
follow the convolution are applied to it, too.

Parts of a small picture are few, and each reads all weights. For several threads there is a second
sketch, in which each step is done to the whole picture before the next one:

    parallel n y                   | transform: x, vectors of c
    parallel places of a tile, f0  | n y0 x0 | c | y1 x1 f1, a vector of f
    parallel n y                   | transform back: x, vectors of f

There a thread reads its share of the weights only.
"""

from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.dot_products import DOT_PRODUCTS, MARK, register_dot_products
from chameleon_ray.compiler.passes.pack_weights import lanes
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.cpu_direct import (
    SPARE,
    VECTORS,
    fewest,
    unroll,
    vectorize,
    zeroed,
)
from chameleon_ray.compiler.spaces.templates.reduction import are_elementwise, outermost
from chameleon_ray.compiler.spaces.templates.template import Bound, Fitted
from chameleon_ray.compiler.target import vector_registers

OUTPUT = "winograd"
"""Name of the block that ends a Winograd convolution, on CPUs and on GPUs."""


def cpu_winograd(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    if inlined(module) is None:
        return None
    most = vector_registers(target) - SPARE
    first, block, extents = _scheduled(module, target, most, in_steps=False)
    if int(target.attrs.get("num-cores", 1)) < 2:
        return Fitted(first, block, (most // 4, most))
    second, other, _ = _scheduled(module, target, most, in_steps=True)
    least = fewest(extents[0], extents[1:], most)
    bounds = [(Bound("registers", [(1, sums)], least, most),) for sums in (block, other)]
    return Fitted(first, others=(second,), bounds=bounds)


def _scheduled(
    module: Any, target: Any, most: int, in_steps: bool
) -> tuple[Any, list[Any], tuple[int, int, int]]:
    """Schedules a layer that the template fits.

    Args:
        module: The layer.
        target: Its target.
        most: Most registers for sums.
        in_steps: Whether each step is done to the whole picture before the next one.

    Returns:
        The trace, the tilings whose product is the number of registers for sums, and what these
        divide: vectors of channels, rows and columns of tiles.
    """
    begun = inlined(module)
    assert begun is not None
    schedule, name = begun
    last = schedule.get_sblock(name)
    outputs = schedule.get(schedule.get_sblock("winograd_outputs")).writes[0].source
    tile, channels = int(outputs.shape[3]), int(outputs.shape[5])
    dot = _dot_product(module)
    with target:
        vector = DOT_PRODUCTS[dot].lanes if dot else lanes(channels, str(outputs.dtype))
    part, rows, place = _outputs(schedule, last, tile, vector, None if in_steps else most)
    _back(schedule, place, vector)
    block, lane = _products(schedule, part, rows, vector, most, dot)
    _inputs(schedule, part, target)
    if dot:  # at last, as TVM takes the block apart for it
        schedule.tensorize(lane, dot)
    grid = int(outputs.shape[1]), int(outputs.shape[2])
    return schedule.trace, block, (channels // vector, *grid)


def inlined(module: Any) -> tuple[Schedule, str] | None:
    """Makes a schedule with everything after a Winograd convolution inlined into one block.

    Returns:
        The schedule and the block's name. None unless the layer is one Winograd convolution, with
        only elementwise operators after it.
    """
    followers = _followers(module)
    if followers is None:
        return None
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    *before, last = OUTPUT, *followers
    for name in before:
        schedule.compute_inline(schedule.get_sblock(name))
    return schedule, last


def _followers(module: Any) -> tuple[str, ...] | None:
    """Returns the elementwise blocks after a Winograd convolution; None for any other layer."""
    schedule = Schedule(module, debug_mask=0)
    handles = outermost(schedule, module)
    blocks = [schedule.get(handle) for handle in handles]
    names = [block.name_hint for block in blocks]
    if OUTPUT not in names:
        return None
    place = names.index(OUTPUT)
    results = sum(not schedule.get_consumers(handle) for handle in handles)
    after = blocks[place + 1 :]
    fits = place == 6 and results == 1 and are_elementwise(blocks[place], after)
    return tuple(names[place + 1 :]) if fits else None


def _dot_product(module: Any) -> str:
    """Returns the name of the intrinsic that sums up products; empty where there is none."""
    register_dot_products()
    schedule = Schedule(module, debug_mask=0)
    block = schedule.get(schedule.get_sblock("winograd_products"))
    return str(block.annotations.get(MARK, ""))


def _outputs(
    schedule: Schedule, last: Any, tile: int, vector: int, most: int | None
) -> tuple[Any, list[Any], Any]:
    """Schedules the outputs.

    Args:
        schedule: The schedule.
        last: Block of the outputs.
        tile: Rows and columns of a tile.
        vector: Channels of a vector.
        most: Most rows of tiles that are summed up at once; None where the parts are single rows
            that have no inputs and products of their own.

    Returns:
        The parallel loop of parts, and the tilings of rows; None and nothing where parts have no
        inputs and products of their own. And the loop around a tile.
    """
    n, y, x, f = schedule.get_loops(last)
    rows, i = schedule.split(y, [None, tile])
    columns, j = schedule.split(x, [None, tile])
    channels, lane = schedule.split(f, [None, vector])
    if most is None:
        schedule.reorder(n, rows, columns, channels, i, j, lane)
        schedule.parallel(schedule.fuse(n, rows))
        vectorize(schedule, i, j, lane)
        return None, [], channels
    sizes = schedule.sample_perfect_tile(rows, 3, most)
    y0, y1, y2 = schedule.split(rows, sizes)
    schedule.reorder(n, y0, y1, y2, columns, channels, i, j, lane)
    part = schedule.fuse(n, y0)
    schedule.parallel(part)
    vectorize(schedule, i, j, lane)
    return part, sizes, channels


def _back(schedule: Schedule, place: Any, vector: int) -> None:
    for name in ("winograd_outputs", "winograd_columns"):
        block = schedule.get_sblock(name)
        schedule.compute_at(block, place, preserve_unit_loops=True)
        i, j, channels = schedule.get_loops(block)[-3:]
        vectorize(schedule, i, j, *schedule.split(channels, [None, vector]))
        schedule.set_scope(block, 0, "local")


def _products(
    schedule: Schedule, part: Any, rows: list[Any], vector: int, most: int, dot: str
) -> tuple[list[Any], Any]:
    """Schedules the matrix products of a part, or of the whole picture without one.

    Returns:
        The innermost tiles, and the vector.
    """
    block = schedule.get_sblock("winograd_products")
    if part is not None:
        schedule.compute_at(block, part, preserve_unit_loops=True)
    i, j, n, y, x, f, c, *group = schedule.get_loops(block)[-8 if dot else -7 :]
    vectors, lane = schedule.split(f, [None, vector])
    filters = schedule.sample_perfect_tile(vectors, 2, VECTORS)
    columns = schedule.sample_perfect_tile(x, 2, most)
    rows = rows[1:] or schedule.sample_perfect_tile(y, 2, most)
    f0, f1 = schedule.split(vectors, filters)
    y1, y2 = schedule.split(y, rows)
    x0, x1 = schedule.split(x, columns)
    if part is None:
        schedule.reorder(i, j, f0, n, y1, x0, c, y2, x1, f1, lane, *group)
        schedule.parallel(schedule.fuse(i, j, f0))
    else:
        schedule.reorder(i, j, n, f0, y1, x0, c, y2, x1, f1, lane, *group)
    unroll(schedule, y2, x1, f1)
    if not dot:
        schedule.vectorize(lane)
    sums = schedule.cache_write(block, 0, "local")
    schedule.reverse_compute_at(sums, x0, preserve_unit_loops=True)
    *loops, channels = schedule.get_loops(sums)[-6:]
    vectorize(schedule, *loops, *schedule.split(channels, [None, vector]))
    zeroed(schedule, block, c, dot)
    return [filters[-1], rows[-1], columns[-1]], lane


def _inputs(schedule: Schedule, part: Any, target: Any) -> None:
    tiles, half = (schedule.get_sblock(f"winograd_{name}") for name in ("tiles", "rows"))
    inputs = schedule.get(tiles).writes[0].source
    with target:
        vector = lanes(int(inputs.shape[5]), str(inputs.dtype))
    if part is not None:
        schedule.compute_at(tiles, part, preserve_unit_loops=True)
    n, y, x, i, j, c = schedule.get_loops(tiles)[-6:]
    vectors, lane = schedule.split(c, [None, vector])
    schedule.reorder(y, x, vectors, i, j, lane)
    if part is None:
        schedule.parallel(schedule.fuse(n, y))
    vectorize(schedule, i, j, lane)
    schedule.compute_at(half, vectors, preserve_unit_loops=True)
    i, j, c = schedule.get_loops(half)[-3:]
    vectorize(schedule, i, j, *schedule.split(c, [None, vector]))
    schedule.set_scope(half, 0, "local")
    *outer, c = schedule.get_loops(schedule.get_sblock("pad_temp"))
    schedule.vectorize(schedule.split(c, [None, vector])[1])
    schedule.parallel(schedule.fuse(*outer[:2]))
