"""The template of direct convolutions on CUDA, in NCHW, with the knobs of Chameleon's Table 1.

On a grid (``cuda_grid.py``) axis z is the output channels, together with the images; y is the rows
and x the columns. Sums are over input channels and the kernel. Inputs are padded as they are
fetched. The operators after the convolution are applied as its results are written.

The knobs are those of AutoTVM's template, by its names ``tile_f``, ``tile_y``, ``tile_x``,
``tile_rc``, ``tile_ry``, ``tile_rx``, ``auto_unroll_max_step`` and ``unroll_explicit``. In AutoTVM
every thread fetches a row of its own.
"""

from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.cuda_grid import on_grid
from chameleon_ray.compiler.spaces.templates.reduction import find_reduction
from chameleon_ray.compiler.spaces.templates.template import Fitted

DTYPES = ("float32", "float64")
STEPS = (0, 512, 1500)
"""Choices of the most steps that a loop may have to be unrolled."""


def cuda_direct(module: Any, target: Any) -> Fitted | None:
    """Fits the template, to depthwise and grouped convolutions, too; see ``Template``."""
    layer = find_reduction(module)
    if layer is None or layer.dtype not in DTYPES or layer.operands != 2:
        return None
    if len(layer.outputs) != 4 or len(layer.reduced) not in (2, 3):
        return None
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    for name in (*layer.copies, *layer.between):
        schedule.compute_inline(schedule.get_sblock(name))
    on_grid(schedule, layer.block, 1, STEPS)
    if layer.last:
        schedule.reverse_compute_inline(schedule.get_sblock(layer.last))
    if layer.padding:
        schedule.compute_inline(schedule.get_sblock(layer.padding))
    return Fitted(schedule.trace)
