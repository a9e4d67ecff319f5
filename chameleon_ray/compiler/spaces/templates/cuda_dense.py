"""The template of matrix products on CUDA: of activations with weights, and in batches.

On a grid (``cuda_grid.py``) axis y is the rows and x the columns; matrices of a batch are blocks of
their own. Operands are fetched in vectors. Where results are few, there is a second schedule, in
which sums are in slices (``cuda_slices.py``). A product with one or a few rows is left to
MetaSchedule's sketches, in which the threads of a block share a sum. So is a batch of more matrices
than a grid has blocks along an axis.
"""

from math import prod
from typing import Any

from chameleon_ray.compiler.nvidia import MOST_BLOCKS
from chameleon_ray.compiler.spaces.templates.cuda_direct import fitted, summed_by_threads
from chameleon_ray.compiler.spaces.templates.template import Fitted

ROWS = 8
"""Fewest rows and columns that make tiles."""


def cuda_dense(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    layer = summed_by_threads(module, target)
    if (
        layer is None
        or len(layer.reduced) != 1
        or len(layer.outputs) < 2
        or min(layer.outputs[-2:]) < ROWS
        or prod(layer.outputs[:-2]) > MOST_BLOCKS
    ):
        return None
    return fitted(module, layer, len(layer.outputs) - 2, vectors=True)
