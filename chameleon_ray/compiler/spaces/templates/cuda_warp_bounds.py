"""Bounds of a tiling for tensor cores: what a GPU has room for, and what TVM can pipeline."""

from collections.abc import Sequence
from typing import Any

from chameleon_ray.compiler.nvidia import MOST_REGISTERS, most_dynamic
from chameleon_ray.compiler.spaces.templates.cuda_warp_tiles import PADDING, Tiling, bytes_of
from chameleon_ray.compiler.spaces.templates.template import Bound, Term
from chameleon_ray.compiler.tensor_cores import SUMS, TILE, WARP, Instruction

LARGEST = 256
"""Most rows, and most columns, of a block's part of the product."""
THREADS = 512
"""Most threads of a block; with more a thread has too few registers for its sums."""
FACTOR, REST = 4, 48
"""Registers that a thread takes for its part of a factor's tile, and for all but sums."""
SPLIT = (2, 16)
"""Fewest and most parts that sums are split into, where they are."""
STEPS = 1 << 30
"""Upper limit of a loop's steps, more than any loop has."""


def warp_bounds(
    tiling: Tiling, instruction: Instruction, transposed: bool, parts: Sequence[Any], target: Any
) -> tuple[Bound, ...]:
    """Returns the bounds of a tiling.

    Args:
        tiling: Its sampled numbers.
        instruction: The instruction that multiplies.
        transposed: Whether the right factor has a row for each column of the product.
        parts: Number of parts that sums are split into; empty where they are not.
        target: ``tvm.target.Target`` of a GPU.
    """
    _, warps, rows = tiling.rows
    *_, beside, columns = tiling.columns
    steps, inner = tiling.depth
    each: list[Term] = [(SUMS, (rows, columns)), (FACTOR, (rows,)), (FACTOR, (columns,))]
    threads = (warps, beside)
    every: list[Term] = [(number * WARP, (*factors, *threads)) for number, factors in each]
    most = int(target.attrs["registers_per_block"])
    bounds = [
        Bound("threads per block", [(WARP, threads)], WARP, THREADS),
        Bound("rows of a block", [(TILE, (warps, rows))], TILE, LARGEST),
        Bound("columns of a block", [(TILE, (beside, columns))], TILE, LARGEST),
        Bound("registers per thread", [*each, (REST, ())], 0, MOST_REGISTERS),
        Bound("registers per block", [*every, (REST * WARP, threads)], 0, most),
        Bound("pipeline steps", [(1, (steps,)), (-1, (tiling.ahead,))], 1, STEPS),
        Bound("loading steps", [(1, (inner,)), (-1, (tiling.early,))], 1, STEPS),
        _shared(tiling, instruction, transposed, target),
    ]
    if parts:
        bounds.append(Bound("parts of sums", [(1, tuple(parts))], *SPLIT))
    return tuple(bounds)


def _shared(tiling: Tiling, instruction: Instruction, transposed: bool, target: Any) -> Bound:
    """Bounds the bytes of both factors in shared memory, as often as copies run ahead, and once."""
    _, warps, rows = tiling.rows
    *_, beside, columns = tiling.columns
    _, depth = tiling.depth
    tile = TILE * instruction.depth * bytes_of(instruction)
    once: list[Term] = [(tile, (warps, rows, depth)), (PADDING * TILE, (warps, rows))]
    once.append((tile, (beside, columns, depth)))
    if transposed:
        once.append((PADDING * TILE, (beside, columns)))
    else:
        once.append((PADDING * instruction.depth, (depth,)))
    ahead: list[Term] = [(number, (*factors, tiling.ahead)) for number, factors in once]
    return Bound("shared memory", [*once, *ahead], 0, most_dynamic(target))
