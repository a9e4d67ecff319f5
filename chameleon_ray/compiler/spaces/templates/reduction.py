"""Describes a layer's reduction: its axes, its operands, and the operators after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import gt
from typing import Any

import tvm
import tvm_ffi
from tvm.s_tir import Schedule
from tvm.sym import Analyzer

from chameleon_ray.compiler.dot_products import MARK

PARALLEL, REDUCED = 0, 2
"""Kinds of a block's iterators."""


@dataclass(frozen=True)
class Reduction:
    """A layer with one reduction; its blocks by their names.

    Attributes:
        block: The block that reduces.
        dtype: Type of its result.
        dot: Name of the intrinsic that sums up its last axis in all channels of a vector; empty
            where there is none.
        outputs: Extents of its result; the last is the channels.
        reduced: Extents of the axes it reduces over.
        operands: Number of buffers it reads.
        matrices: Whether it multiplies matrices: some of its axes are of its first operand only,
            others of its second only. Depthwise and grouped convolutions do not.
        lanes: Channels that are surely contiguous in every operand that depends on them, from
            each multiple of their number on; all of them where they are not in blocks.
        shared: Whether one of its operands serves all of these channels; None where the channels
            of an operand are not contiguous.
        copies: Blocks that pass the layer's input on to it, element by element.
        padding: Block that pads the layer's input for it; empty where there is none.
        between: Elementwise blocks from its result on, except for the last.
        last: The block that writes the layer's output; empty where the reduction does.
    """

    block: str
    dtype: str
    dot: str
    outputs: tuple[int, ...]
    reduced: tuple[int, ...]
    operands: int
    matrices: bool
    lanes: int
    shared: bool | None
    copies: tuple[str, ...]
    padding: str
    between: tuple[str, ...]
    last: str


def find_reduction(module: Any) -> Reduction | None:
    """Describes the reduction of a layer that has one.

    Args:
        module: IRModule with one PrimFunc ``main``.

    Returns:
        The reduction. None where there is none or several, or where there is more to the layer than
        a copy or padding of one input before it and elementwise operators after it.
    """
    schedule = Schedule(module, debug_mask=0)
    handles = outermost(schedule, module)
    blocks = [schedule.get(handle) for handle in handles]
    kinds = [{int(i.iter_type) for i in block.iter_vars} for block in blocks]
    places = [place for place, found in enumerate(kinds) if REDUCED in found]
    if len(places) != 1 or any(found - {PARALLEL, REDUCED} for found in kinds):
        return None
    producers = len(schedule.get_producers(handles[places[0]]))
    results = sum(not schedule.get_consumers(handle) for handle in handles)
    if places[0] != producers or producers > 1 or results != 1:
        return None
    return _described(blocks[:producers], blocks[producers], blocks[producers + 1 :])


def outermost(schedule: Schedule, module: Any) -> list[Any]:
    """Returns handles of the blocks of ``main``, in order; empty unless it is made of several."""
    if module["main"].body.block.name_hint != "root":
        return []
    return list(schedule.get_child_blocks(schedule.get_sblock("root", "main")))


def _described(before: list[Any], block: Any, after: list[Any]) -> Reduction | None:
    spatial = _iterators(block, PARALLEL)
    if not spatial:  # a sum of everything
        return None
    lanes = min([_extent(spatial[-1]), *_blocks(block, spatial[-1].var)])
    if not _writes(block, spatial) or not are_elementwise(block, after, cut=True):
        return None
    copies = tuple(b.name_hint for b in before if _is_whole(b))
    return Reduction(
        block=block.name_hint,
        dtype=str(block.writes[0].source.dtype),
        dot=str(block.annotations.get(MARK, "")),
        outputs=tuple(_extent(i) for i in spatial),
        reduced=tuple(_extent(i) for i in _iterators(block, REDUCED)),
        operands=len(block.reads),
        matrices=_multiplies_matrices(block),
        lanes=lanes,
        shared=_shared(block, lanes),
        copies=copies,
        padding="".join(b.name_hint for b in before if b.name_hint not in copies),
        between=tuple(b.name_hint for b in after[:-1]),
        last="".join(b.name_hint for b in after[-1:]),
    )


def _iterators(block: Any, kind: int) -> list[Any]:
    return [i for i in block.iter_vars if int(i.iter_type) == kind]


def _extent(iterator: Any) -> int:
    return int(iterator.dom.extent)


def _starts(region: Any) -> list[Any]:
    return [part.min for part in region.region]


def _blocks(block: Any, channels: Any) -> list[int]:
    """Returns the channels in a block of each operand whose last index is a place in a block."""
    ends = [_starts(read)[-1] for read in block.reads]
    places = (end for end in ends if isinstance(end, tvm.tirx.FloorMod))
    return [int(end.b) for end in places if end.a.same_as(channels)]


def _shared(block: Any, lanes: int) -> bool | None:
    """Whether an operand is the same for all of the channels that are contiguous.

    Returns:
        None where an operand depends on them, but neighbouring channels are not contiguous in it.
    """
    channels, analyzer = _iterators(block, PARALLEL)[-1].var, Analyzer()
    for iterator in block.iter_vars:
        if _extent(iterator) == 1:
            analyzer.bind(iterator.var, iterator.dom.min)
    first, lane = (tvm.tirx.Var(name, channels.ty) for name in ("first", "lane"))
    analyzer.bind(lane, tvm.ir.Range(0, lanes))

    def neighbour(found: Any) -> Any:
        return first * lanes + lane if found.same_as(channels) else found

    shared = False
    for read in block.reads:
        starts = [analyzer.simplify(start) for start in _starts(read)]
        moved = [tvm_ffi.structural_map(start, (tvm.ir.Var, neighbour)) for start in starts]
        if not any(_depends(analyzer.simplify(start), lane) for start in moved):
            shared = True
        elif not _is_contiguous(starts, channels):
            return None
    return shared


def _multiplies_matrices(block: Any) -> bool:
    """Whether both of two operands have an axis of the results that the other lacks."""
    if len(block.reads) != 2:
        return False
    axes = [
        {
            place
            for place, iterator in enumerate(_iterators(block, PARALLEL))
            if _extent(iterator) > 1
            and any(_depends(start, iterator.var) for start in _starts(read))
        }
        for read in block.reads
    ]
    return bool(axes[0] - axes[1]) and bool(axes[1] - axes[0])


def _is_contiguous(starts: Sequence[Any], channels: Any) -> bool:
    """Whether the last index is the channel, or its place in a block that another index numbers."""
    *others, last = starts
    if isinstance(last, tvm.tirx.FloorMod) and last.a.same_as(channels):
        blocks = [start for start in others if _depends(start, channels)]
        return [str(start) for start in blocks] == [str(tvm.tirx.floordiv(channels, last.b))]
    return last.same_as(channels) and not any(_depends(start, channels) for start in others)


def _depends(expression: Any, variable: Any) -> bool:
    return any(v.same_as(variable) for v in tvm.tirx.analysis.undefined_vars(expression))


def _writes(block: Any, spatial: Sequence[Any]) -> bool:
    """Whether a block writes one element of one buffer, in the order of its iterators."""
    return len(block.writes) == 1 and _is_identity(block.writes[0], spatial)


def _is_identity(region: Any, spatial: Sequence[Any]) -> bool:
    """Whether a region is the one element at the iterators' place."""
    starts = _starts(region)
    return (
        all(_is_number(part.extent, 1) for part in region.region)
        and len(starts) == len(spatial)
        and all(
            start.same_as(i.var) or (_extent(i) == 1 and _is_number(start, 0))
            for start, i in zip(starts, spatial, strict=True)
        )
    )


def _is_number(expression: Any, number: int) -> bool:
    return isinstance(expression, tvm.tirx.IntImm) and int(expression) == number


def _is_whole(block: Any) -> bool:
    """Whether a block reads all of its input, element by element, as a padding by nothing does."""
    extents = [_extent(i) for i in block.iter_vars]
    return len(block.reads) == 1 and (
        _is_identity(block.reads[0], block.iter_vars)
        and [int(size) for size in block.reads[0].source.shape] == extents
    )


def are_elementwise(block: Any, after: Sequence[Any], cut: bool = False) -> bool:
    """Whether every later block goes over a block's elements one by one and reads them in place.

    A later block may also read none of them, as where another tensor is scaled before it is added.

    Args:
        block: The block that computes the elements.
        after: The blocks that follow it.
        cut: Whether the first of them may drop some elements, so that the rest is over fewer.
    """
    extents = [_extent(i) for i in _iterators(block, PARALLEL)]
    made = [block.writes[0].source]
    for place, follower in enumerate(after):
        own_extents = [_extent(i) for i in follower.iter_vars]
        if len(own_extents) != len(extents) or any(map(gt, own_extents, extents)):
            return False
        own = [r for r in follower.reads if any(r.source.same_as(buffer) for buffer in made)]
        if own_extents != extents and (place or not cut or not own):
            return False
        extents = own_extents
        if not all(_is_identity(read, follower.iter_vars) for read in own):
            return False
        if not _writes(follower, follower.iter_vars):
            return False
        made.append(follower.writes[0].source)
    return True
