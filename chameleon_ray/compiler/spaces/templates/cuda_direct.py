"""The template of direct convolutions on CUDA, with the knobs of Chameleon's Table 1.

On a grid (``cuda_grid.py``) axis z is the output channels, together with the images; y is the rows
and x the columns. In NHWC they are rows, columns and channels. Sums are over input channels and the
kernel. Inputs are padded as they are fetched. The operators after the convolution are applied as
its results are written.

The knobs are those of AutoTVM's template, by its names ``tile_f``, ``tile_y``, ``tile_x``,
``tile_rc``, ``tile_ry``, ``tile_rx``, ``auto_unroll_max_step`` and ``unroll_explicit``. In AutoTVM
every thread fetches a row of its own. Where results are few, there is a second schedule, in which
sums are in slices (``cuda_slices.py``).
"""

from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.rules import suits_tensor_cores
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates import cuda_slices
from chameleon_ray.compiler.spaces.templates.cuda_grid import on_grid
from chameleon_ray.compiler.spaces.templates.reduction import Reduction, find_reduction
from chameleon_ray.compiler.spaces.templates.template import Fitted

DTYPES = ("float32", "float64")
"""Types of sums; operands may be shorter."""
STEPS = (0, 512, 1500)
"""Choices of the most steps that a loop may have to be unrolled."""


def cuda_direct(module: Any, target: Any) -> Fitted | None:
    """Fits the template, to depthwise and grouped convolutions, too; see ``Template``."""
    layer = summed_by_threads(module, target)
    if layer is None:
        return None
    if len(layer.outputs) != 4 or len(layer.reduced) not in (2, 3):
        return None
    return fitted(module, layer, 1)


def summed_by_threads(module: Any, target: Any) -> Reduction | None:
    """Describes a reduction of two operands that is for a GPU's threads, not its tensor cores."""
    layer = find_reduction(module)
    if layer is None or layer.dtype not in DTYPES or layer.operands != 2:
        return None
    return None if layer.matrices and suits_tensor_cores(module, target) else layer


def fitted(module: Any, layer: Reduction, outer: int, vectors: bool = False) -> Fitted:
    """Schedules a layer on a grid, with sums in one piece and, where that may pay, in slices.

    Args:
        module: IRModule of the layer.
        layer: Its description.
        outer: Number of its results' first axes that are not tiled.
        vectors: Whether its operands are fetched in vectors.
    """
    whole = _begun(module, layer)
    on_grid(whole, whole.get_sblock(layer.block), outer, STEPS, (), vectors)
    if layer.last:
        whole.reverse_compute_inline(whole.get_sblock(layer.last))
    _pad(whole, layer)
    if not cuda_slices.are_useful(layer.outputs, layer.reduced):
        return Fitted(whole.trace)
    parted = _begun(module, layer)
    block = parted.get_sblock(layer.block)
    slices, cut = cuda_slices.sliced(parted, block, len(layer.outputs))
    on_grid(parted, slices, outer + 1, STEPS, cut, vectors)
    cuda_slices.add_up(parted, block, layer.last)
    _pad(parted, layer)
    return Fitted(whole.trace, others=(parted.trace,))


def _begun(module: Any, layer: Reduction) -> Schedule:
    """Makes a schedule in which the reduction is between its padding and one elementwise block."""
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    for name in (*layer.copies, *layer.between):
        schedule.compute_inline(schedule.get_sblock(name))
    return schedule


def _pad(schedule: Schedule, layer: Reduction) -> None:
    """Pads inputs as they are fetched."""
    if layer.padding:
        schedule.compute_inline(schedule.get_sblock(layer.padding))
