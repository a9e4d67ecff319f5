"""Writes a layer's reduction as a product of matrices: a convolution, too, as an implicit one.

Its axes fall into four groups. Those of the batch are of all three matrices, rows of the left
factor and the product, columns of the right factor and the product, and what is summed over is of
both factors. The axes of a group become one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tvm
from tvm.s_tir import Schedule
from tvm.tirx import IndexMap

from chameleon_ray.compiler.spaces.templates.reduction import REDUCED, Reduction

BATCH, ROWS, COLUMNS, DEPTH = range(4)
"""Groups of axes."""
GROUPS: dict[tuple[bool, ...], int] = {
    (True, True, True): BATCH,
    (True, False, True): ROWS,
    (False, True, True): COLUMNS,
    (True, True, False): DEPTH,
}
"""Groups by the matrices that depend on an axis: left, right, product."""


@dataclass(frozen=True)
class Axis:
    """An axis of a reduction.

    Attributes:
        group: Group that it belongs to.
        extent: Its extent.
    """

    group: int
    extent: int


@dataclass(frozen=True)
class MatrixProduct:
    """A product of matrices.

    Attributes:
        dtype: Type of both factors.
        axes: Axes of the block that computes it; their groups are in order.
        transposed: Whether the right factor has a row for each column of the product.
        runs: Number of the left and the right factor's elements that are surely contiguous and
            begin at a multiple of their number.
    """

    dtype: str
    axes: tuple[Axis, ...]
    transposed: bool
    runs: tuple[int, int]

    def extent(self, group: int) -> int:
        """Product of a group's extents; 1 where it has no axes."""
        return math.prod(axis.extent for axis in self.axes if axis.group == group)

    @property
    def leading(self) -> int:
        """Number of axes before rows and columns: 1 where there is a batch, else 0."""
        return int(any(axis.group == BATCH for axis in self.axes))


def find_product(module: Any, layer: Reduction) -> MatrixProduct | None:
    """Describes a layer's reduction as a product of matrices; None where it is not one."""
    schedule = Schedule(module, debug_mask=0)
    block = schedule.get(schedule.get_sblock(layer.block))
    if len(block.reads) != 2 or len({str(read.source.dtype) for read in block.reads}) != 1:
        return None
    used = [_variables(region) for region in (*block.reads, *block.writes)]
    axes: list[Axis] = []
    for iterator in block.iter_vars:
        uses = tuple(any(iterator.var.same_as(v) for v in found) for found in used)
        extent, group = int(iterator.dom.extent), GROUPS.get(uses)
        if group is None and extent == 1:
            before = axes[-1].group if axes else BATCH
            group = DEPTH if int(iterator.iter_type) == REDUCED else max(before, ROWS)
        if group is None or (axes and group < axes[-1].group):
            return None
        axes.append(Axis(group, extent))
    left, right = (_last(read, block.iter_vars, axes) for read in block.reads)
    groups = {axis.group for axis in axes}
    if left[0] != DEPTH or right[0] not in (COLUMNS, DEPTH) or not groups > {ROWS, COLUMNS}:
        return None
    dtype = str(block.reads[0].source.dtype)
    return MatrixProduct(dtype, tuple(axes), right[0] == DEPTH, (left[1], right[1]))


def as_product(schedule: Schedule, layer: Reduction, product: MatrixProduct) -> Any:
    """Rewrites a layer as a product of matrices, with at most one axis of each group.

    Copies before it are inlined; the elementwise blocks after it become one.

    Returns:
        Handle of the block that writes the layer's output.
    """
    for name in (*layer.copies, *layer.between):
        schedule.compute_inline(schedule.get_sblock(name))
    block = schedule.get_sblock(layer.block)
    schedule.reindex(block, ("read", 0))
    schedule.reindex(block, ("read", 1))
    schedule.reindex(block, ("write", 0))
    order = (BATCH, COLUMNS, DEPTH) if product.transposed else (BATCH, DEPTH, COLUMNS)
    orders = (BATCH, ROWS, DEPTH), order, (BATCH, ROWS, COLUMNS)
    dtype = str(schedule.get(block).iter_vars[0].var.ty)
    made = schedule.get(block)
    regions = zip((*made.reads, *made.writes), orders, strict=True)
    for place, (region, groups) in enumerate(regions):
        axes = [product.axes[number] for number in _numbers(region, made.iter_vars)]
        buffer = ("read", place) if place < 2 else ("write", 0)
        schedule.transform_layout(block, buffer, _fused(axes, groups, dtype))
    schedule.transform_block_layout(block, _fused(product.axes, range(4), dtype))
    (written,) = schedule.get_consumers(block)
    last = schedule.get_sblock(layer.last) if layer.last else written
    if layer.last:
        schedule.compute_inline(written)
    results = [axis for axis in product.axes if axis.group != DEPTH]
    schedule.transform_block_layout(last, _fused(results, (BATCH, ROWS, COLUMNS), dtype))
    return last


def flatten_factor(schedule: Schedule, copy: Any, product: MatrixProduct, without: int) -> None:
    """Lets the block that copies a factor go over one axis of each group, if it does not yet.

    Args:
        schedule: Schedule of the layer, with ``as_product`` applied.
        copy: The block.
        product: The product.
        without: The group that the factor does not have.
    """
    left = [axis for axis in product.axes if axis.group != without and axis.extent > 1]
    made, axes = schedule.get(copy), []
    if len(made.iter_vars) == product.leading + 2:
        return
    for iterator in made.iter_vars:
        extent = int(iterator.dom.extent)
        axes.append(left.pop(0) if extent > 1 else Axis(left[0].group if left else DEPTH, 1))
    groups = [group for group in range(4) if group != without]
    dtype = str(made.iter_vars[0].var.ty)
    schedule.transform_block_layout(copy, _fused(axes, groups, dtype))


def _fused(axes: Sequence[Axis], groups: Sequence[int], dtype: str) -> IndexMap:
    """Makes the map of axes to the groups that they are of, with indices of a type."""

    def fuse(*indices: Any) -> list[Any]:
        fused: dict[int, Any] = {}
        for axis, index in zip(axes, indices, strict=True):
            before = fused.get(axis.group)
            fused[axis.group] = index if before is None else before * axis.extent + index
        return [fused[group] for group in groups if group in fused]

    return IndexMap.from_func(fuse, ndim=len(axes), index_dtype=dtype)


def _numbers(region: Any, iterators: Any) -> list[int]:
    """Returns the numbers of the iterators that a buffer is indexed by, one by one."""
    return [
        number
        for part in region.region
        for number, iterator in enumerate(iterators)
        if part.min.same_as(iterator.var)
    ]


def _variables(region: Any) -> list[Any]:
    return [v for part in region.region for v in tvm.tirx.analysis.undefined_vars(part.min)]


def _last(region: Any, iterators: Any, axes: Sequence[Axis]) -> tuple[int, int]:
    """Returns the group of a factor's last axis, and the length of its runs; -1 where unknown."""
    last = region.region[-1].min
    for iterator, axis in zip(iterators, axes, strict=True):
        if last.same_as(iterator.var):
            return axis.group, math.gcd(int(region.source.shape[-1]), axis.extent)
    return -1, 1
