"""The template of Winograd convolutions on CUDA: three kernels.

The first transforms inputs: each thread takes one tile of an input channel. The last transforms
outputs: each thread takes one tile of an output channel, and applies the operators after the
convolution. Both work in registers.

The kernel in between computes matrix products on a grid (``cuda_grid.py``): axis z is a tile's
places, y the output channels, x the tiles, and sums are over input channels. Only the products have
knobs: the tilings of y, x and the sums, and how far loops are unrolled, as in AutoTVM's template.
"""

from typing import Any

from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.cpu_winograd import inlined
from chameleon_ray.compiler.spaces.templates.cuda_grid import on_grid
from chameleon_ray.compiler.spaces.templates.template import Fitted

STEPS = (0, 128, 1500)
"""Choices of the most steps that a loop may have to be unrolled."""
THREADS = 128
"""Threads of a block in the kernels that transform."""


def cuda_winograd(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    begun = inlined(module)
    if begun is None:
        return None
    schedule, last = begun
    _inputs(schedule)
    on_grid(schedule, "winograd_products", 2, STEPS)
    _outputs(schedule, last)
    return Fitted(schedule.trace)


def _inputs(schedule: Schedule) -> None:
    tiles, half = (schedule.get_sblock(f"winograd_{name}") for name in ("tiles", "rows"))
    i, j, channels, place = schedule.get_loops(tiles)
    schedule.reorder(channels, place, i, j)
    thread = _threads(schedule, channels, place)
    _unroll(schedule, i, j)
    inputs = schedule.cache_read(half, 0, "local")
    _keep(schedule, half, thread)
    schedule.compute_at(inputs, thread, preserve_unit_loops=True)
    _unroll(schedule, *schedule.get_loops(inputs)[-4:])
    schedule.compute_inline(schedule.get_sblock("pad_temp"))


def _outputs(schedule: Schedule, name: str) -> None:
    last = schedule.get_sblock(name)
    results, half = (schedule.get_sblock(f"winograd_{name}") for name in ("outputs", "columns"))
    m = int(schedule.get(results).writes[0].source.shape[0])
    n, f, y, x = schedule.get_loops(last)
    down, i = schedule.split(y, [None, m])
    across, j = schedule.split(x, [None, m])
    schedule.reorder(n, f, down, across, i, j)
    thread = _threads(schedule, n, f, down, across)
    _unroll(schedule, i, j)
    products = schedule.cache_read(half, 0, "local")
    _keep(schedule, results, thread)
    _keep(schedule, half, thread)
    schedule.compute_at(products, thread, preserve_unit_loops=True)
    _unroll(schedule, *schedule.get_loops(products)[-4:])


def _threads(schedule: Schedule, *loops: Any) -> Any:
    """Binds loops to blocks of threads; returns the threads' loop."""
    block, thread = schedule.split(schedule.fuse(*loops), [None, THREADS])
    schedule.bind(block, "blockIdx.x")
    schedule.bind(thread, "threadIdx.x")
    return thread


def _keep(schedule: Schedule, block: Any, thread: Any) -> None:
    """Computes a block in each thread, and keeps its results in registers."""
    schedule.compute_at(block, thread, preserve_unit_loops=True)
    _unroll(schedule, *schedule.get_loops(block)[-4:])
    schedule.set_scope(block, 0, "local")


def _unroll(schedule: Schedule, *loops: Any) -> None:
    for loop in loops:
        schedule.unroll(loop)
