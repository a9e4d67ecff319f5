"""The template of tensor cores on CUDA: convolutions in NHWC, and products of matrices.

A convolution is an implicit product: a row for each place of the output, a column for each of its
channels, and sums over the kernel and the input channels (``matrix_product.py``). Factors are
float16, bfloat16, or float32 that may be rounded to TF32; sums are float32. How the product is
tiled is told in ``cuda_warp_tiles.py``.

A layer is scheduled in several ways, which are the space's sketches. Extents are padded to whole
tiles of 16, or of more, as few rows have few divisors. Where sums are split, the parts are computed
by blocks of their own, and a second kernel adds them up and applies what follows the product.
"""

import math
from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.nvidia import capability
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.cuda_split_sums import add_up, numbers_of_parts, split
from chameleon_ray.compiler.spaces.templates.cuda_warp_bounds import warp_bounds
from chameleon_ray.compiler.spaces.templates.cuda_warp_tiles import (
    WIDEST,
    Factor,
    bytes_of,
    on_warps,
)
from chameleon_ray.compiler.spaces.templates.matrix_product import (
    COLUMNS,
    DEPTH,
    ROWS,
    MatrixProduct,
    as_product,
    find_product,
)
from chameleon_ray.compiler.spaces.templates.reduction import Reduction, find_reduction
from chameleon_ray.compiler.spaces.templates.template import Bound, Fitted
from chameleon_ray.compiler.tensor_cores import INSTRUCTIONS, TILE, register_tensor_cores
from chameleon_ray.measure.precision import PRECISION, TF32

AMPERE = 80
"""First compute capability with the instructions, and with asynchronous copies."""
FEWEST = 8
"""Fewest rows and columns of a product that tensor cores are for."""
COARSE = (128, 64)
"""Multiples that rows are also padded to: the first that costs no more than ``WASTE``."""
WASTE = 1.25
"""Most rows, by those that tiles of 16 take, that a coarser padding may have."""


def cuda_tensor_core(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    layer = find_reduction(module)
    if layer is None or layer.dtype != "float32":
        return None
    if (capability(str(target.attrs.get("arch", ""))) or 0) < AMPERE:
        return None
    product = find_product(module, layer)
    if product is None or not _suits(module, product):
        return None
    register_tensor_cores()
    made = [
        _scheduled(module, target, layer, product, rows, parts)
        for parts in _splits(product)
        for rows in _paddings(product.extent(ROWS))
    ]
    first, *others = (trace for trace, _ in made)
    return Fitted(first, others=others, bounds=[bounds for _, bounds in made])


def _suits(module: Any, product: MatrixProduct) -> bool:
    """Whether a product is large enough, and of a type that the instructions are for."""
    if product.dtype not in INSTRUCTIONS or _steps(product) < 2:
        return False
    if product.dtype == "float32":
        rounded = dict(module["main"].attrs or {}).get(PRECISION) == TF32
        if not (rounded and product.transposed):
            return False
    return min(product.extent(ROWS), product.extent(COLUMNS)) >= FEWEST


def _steps(product: MatrixProduct) -> int:
    """Counts the instructions that a sum takes."""
    return -(-product.extent(DEPTH) // INSTRUCTIONS[product.dtype].depth)


def _paddings(rows: int) -> list[int]:
    """Returns the multiples that rows are padded to."""
    least = -(-rows // TILE) * TILE
    for multiple in COARSE:
        if least < -(-rows // multiple) * multiple <= WASTE * least:
            return [TILE, multiple]
    return [TILE]


def _splits(product: MatrixProduct) -> list[bool]:
    """Tells which schedules are made: with whole sums, and with split ones if they are long."""
    return [False, True] if numbers_of_parts(_steps(product)) else [False]


def _scheduled(
    module: Any, target: Any, layer: Reduction, product: MatrixProduct, rows: int, parts: bool
) -> tuple[Any, tuple[Bound, ...]]:
    """Schedules a layer with its rows padded to a multiple, and its sums in parts or whole.

    Returns:
        The trace, and the bounds of what it samples.
    """
    instruction = INSTRUCTIONS[product.dtype]
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    last = as_product(schedule, layer, product)
    block = schedule.get_sblock(layer.block)
    schedule.pad_einsum(block, [1] * product.leading + [rows, TILE, instruction.depth])
    _inline_until(schedule, last, layer.block)
    widest = WIDEST // bytes_of(instruction)
    names = ("mk", "nk" if product.transposed else "kn")
    factors = [
        Factor(axes, math.gcd(run, widest)) for axes, run in zip(names, product.runs, strict=True)
    ]
    if not parts:
        tiling = on_warps(schedule, block, last, instruction, factors)
        return schedule.trace, warp_bounds(tiling, instruction, product.transposed, target)
    found = split(schedule, block, instruction)
    written = schedule.cache_write(found.product, 0, "local")
    tiling = on_warps(schedule, found.product, written, instruction, factors, found.parts)
    add_up(schedule, found.total, last, product.extent(COLUMNS))
    return schedule.trace, warp_bounds(tiling, instruction, product.transposed, target)


def _inline_until(schedule: Schedule, last: Any, first: str) -> None:
    """Inlines what lies between a block and the last one."""
    while True:
        between = schedule.get_producers(last)
        found = [handle for handle in between if schedule.get(handle).name_hint != first]
        if not found:
            return
        schedule.compute_inline(found[0])
