"""The template of Winograd convolutions on CUDA: three kernels.

The first transforms inputs: each thread takes one tile of an input channel. The last transforms
outputs: each thread takes one tile of an output channel, and applies the operators after the
convolution. Both work in registers.

The kernel in between computes matrix products on a grid (``cuda_grid.py``): axis z is a tile's
places, y the output channels, x the tiles, and sums are over input channels. Only the products have
knobs: the tilings of y, x and the sums, and how far loops are unrolled, as in AutoTVM's template.
Where products are few, there is a second schedule, in which their sums are in slices
(``cuda_slices.py``), which the last kernel adds up.
"""

from typing import Any

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import ScheduleError

from chameleon_ray.compiler.spaces.templates import cuda_slices
from chameleon_ray.compiler.spaces.templates.cpu_winograd import inlined
from chameleon_ray.compiler.spaces.templates.cuda_grid import on_grid
from chameleon_ray.compiler.spaces.templates.template import Fitted

PRODUCTS = "winograd_products"
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
    products = schedule.get(schedule.get_sblock(PRODUCTS))
    extents = [int(iterator.dom.extent) for iterator in products.iter_vars]
    _inputs(schedule)
    on_grid(schedule, schedule.get_sblock(PRODUCTS), 2, STEPS)
    _outputs(schedule, last)
    if not cuda_slices.are_useful(extents[:4], extents[4:]):
        return Fitted(schedule.trace)
    try:
        return Fitted(schedule.trace, others=(_sliced(module),))
    except ScheduleError:
        return Fitted(schedule.trace)


def _sliced(module: Any) -> Any:
    """Returns the trace of a schedule whose last kernel adds up the slices of products.

    Raises:
        ScheduleError: TVM does not see which product belongs to which thread, as with several
            images of cut tiles.
    """
    begun = inlined(module)
    assert begun is not None
    schedule, last = begun
    _inputs(schedule)
    block = schedule.get_sblock(PRODUCTS)
    slices, cut = cuda_slices.sliced(schedule, block, 4)
    on_grid(schedule, slices, 3, STEPS, cut)
    _outputs(schedule, last, block)
    return schedule.trace


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


def _outputs(schedule: Schedule, name: str, adding: Any = None) -> None:
    """Schedules the last kernel, in which a block may add up products that are in slices."""
    last = schedule.get_sblock(name)
    results, half = (schedule.get_sblock(f"winograd_{name}") for name in ("outputs", "columns"))
    m = int(schedule.get(results).writes[0].source.shape[0])
    n, f, y, x = schedule.get_loops(last)
    down, i = schedule.split(y, [None, m])
    across, j = schedule.split(x, [None, m])
    schedule.reorder(n, f, down, across, i, j)
    thread = _threads(schedule, n, f, down, across)
    _unroll(schedule, i, j)
    products = schedule.cache_read(half, 0, "local") if adding is None else None
    _keep(schedule, results, thread)
    _keep(schedule, half, thread)
    if products is None:
        _keep(schedule, adding, thread)
        zeros = schedule.decompose_reduction(adding, schedule.get_loops(adding)[-5])
        _unroll(schedule, *schedule.get_loops(zeros)[-4:])
    else:
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
