"""Bounds of a tiling for tensor cores: what a GPU has room for, and what TVM can pipeline."""

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
COPIES = 16
"""Most copies of a factor that a thread makes in a step; more take long to compile."""
ENDLESS = 1 << 30
"""More than any sum."""


def warp_bounds(
    tiling: Tiling, instruction: Instruction, transposed: bool, target: Any
) -> tuple[Bound, ...]:
    """Returns the bounds of a tiling.

    Args:
        tiling: Its sampled numbers.
        instruction: The instruction that multiplies.
        transposed: Whether the right factor has a row for each column of the product.
        target: ``tvm.target.Target`` of a GPU.
    """
    _, warps, rows = tiling.rows
    *_, beside, columns = tiling.columns
    step = (tiling.depth,) if tiling.parts is None else (tiling.depth, tiling.parts)
    each: list[Term] = [(SUMS, (rows, columns)), (FACTOR, (rows,)), (FACTOR, (columns,))]
    threads = (warps, beside)
    every: list[Term] = [(number * WARP, (*factors, *threads)) for number, factors in each]
    most = int(target.attrs["registers_per_block"])
    return (
        Bound("threads per block", [(WARP, threads)], WARP, THREADS),
        Bound("rows of a block", [(TILE, (warps, rows))], TILE, LARGEST),
        Bound("columns of a block", [(TILE, (beside, columns))], TILE, LARGEST),
        Bound("registers per thread", [*each, (REST, ())], 0, MOST_REGISTERS),
        Bound("registers per block", [*every, (REST * WARP, threads)], 0, most),
        Bound("steps ahead", [(1, step), (1, (*step, tiling.ahead))], 0, tiling.steps),
        Bound("steps early", [(1, (tiling.early,)), (-1, (tiling.depth,))], -ENDLESS, -1),
        Bound("copies of rows", [(1, (rows, tiling.depth)), (-COPIES, (beside,))], -ENDLESS, 0),
        Bound(
            "copies of columns", [(1, (columns, tiling.depth)), (-COPIES, (warps,))], -ENDLESS, 0
        ),
        _shared(tiling, instruction, transposed, target),
    )


def _copies(name: str, tiles: Any, tiling: Tiling, others: Any) -> Bound:
    """Bounds a thread's copies of a factor; warps beside each other share its tiles."""
    terms: list[Term] = [(1, (tiles, tiling.depth)), (-COPIES, (others,))]
    return Bound(f"copies of {name}", terms, -ENDLESS, 0)


def _shared(tiling: Tiling, instruction: Instruction, transposed: bool, target: Any) -> Bound:
    """Bounds the bytes of both factors in shared memory, as often as copies run ahead, and once."""
    _, warps, rows = tiling.rows
    *_, beside, columns = tiling.columns
    depth = tiling.depth
    tile = TILE * instruction.depth * bytes_of(instruction)
    once: list[Term] = [(tile, (warps, rows, depth)), (PADDING * TILE, (warps, rows))]
    once.append((tile, (beside, columns, depth)))
    if transposed:
        once.append((PADDING * TILE, (beside, columns)))
    else:
        once.append((PADDING * instruction.depth, (depth,)))
    ahead: list[Term] = [(number, (*factors, tiling.ahead)) for number, factors in once]
    return Bound("shared memory", [*once, *ahead], 0, most_dynamic(target))
