"""Limits of a GPU sketch's threads, memory and registers, read off its trace.

TVM finds out the same from the lowered program and turns down what is too much (``VerifyGPUCode``).
Here nothing is lowered, and what cannot be read off the trace has no limit. TVM knows nothing of
registers; they are estimated by the sums that a thread keeps.
"""

from dataclasses import replace
from typing import Any

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import Trace
from tvm.sym import detect_linear_equation

from chameleon_ray.compiler.nvidia import (
    DYNAMIC,
    MOST_BLOCKS,
    MOST_REGISTERS,
    most_dynamic,
    most_static,
)
from chameleon_ray.compiler.spaces.sketch import SEED, Sketch
from chameleon_ray.compiler.spaces.templates.cuda_slices import SLICES
from chameleon_ray.compiler.spaces.templates.reduction import PARALLEL
from chameleon_ray.compiler.spaces.trace_analysis import BlockLoops, Cache, SketchReading
from chameleon_ray.compiler.spaces.vector_limits import COPIES, crossing_limits, vector_limits
from chameleon_ray.limit import Box, Limit, Product, Side, product

AXES = {"threadIdx.z": 64, "blockIdx.y": MOST_BLOCKS, "blockIdx.z": MOST_BLOCKS}
"""Greatest lengths of a grid's axes on any NVIDIA device, where they may matter."""
STEPS = 1 << 40
"""Upper limit of a loop's steps, more than any loop has."""
PER_SUM, REST = 5, 96
"""Quarters of registers that a thread takes for each of its sums, and for all else.

With fewer, the compiler spills them and takes long.
"""
ALIGNED = 64
"""Bytes that TVM aligns buffers in shared memory to."""


def limits_of(module: Any, sketches: tuple[Sketch, ...], target: Any) -> tuple[Limit, ...]:
    """Returns the limits of a GPU's configurations, with a limit of several sketches listed once.

    Args:
        module: IRModule with one PrimFunc ``main``.
        sketches: Sketches of the layer.
        target: A CUDA target.
    """
    shared: dict[Limit, list[int]] = {}
    for number, sketch in enumerate(sketches):
        for limit in dict.fromkeys(_limits(module, sketch, target)):
            shared.setdefault(limit, []).append(number)
    several = len(sketches) > 1
    return tuple(
        replace(limit, sketches=tuple(numbers)) if several else limit
        for limit, numbers in shared.items()
    )


def _limits(module: Any, sketch: Sketch, target: Any) -> list[Limit]:
    reading = SketchReading(sketch)
    found = vector_limits(module, sketch, reading)
    for block, kernel in reading.kernels.items():
        if any(axis.startswith("threadIdx") for axis in kernel.axes):
            found += _grid(reading, kernel, target)
            found += _registers(module, sketch, reading, block, target)
            found += _shared(module, sketch, reading, block, target)
    return found


def _limit(name: str, size: Product | None, most: int, least: int = 0) -> list[Limit]:
    """Returns a product's limit; empty where it is unknown, or always the same and kept."""
    if size is None or (not size.tables and least <= size.constant <= most):
        return []
    return [Limit(name, (Box.of(size),), least, most)]


def _grid(reading: SketchReading, kernel: BlockLoops, target: Any) -> list[Limit]:
    lengths = {axis: reading.length(tiles) for axis, tiles in kernel.axes.items()}
    threads = _threads(reading, kernel)
    if threads is not None and "warp_execution" in kernel.notes:
        threads = threads * Product(int(target.attrs["thread_warp_size"]))
    most = int(target.attrs["max_threads_per_block"])
    low = int(kernel.notes.get("meta_schedule.thread_extent_low_inclusive", 1))
    found = _limit("threads per block", threads, most, low)
    for axis, length in lengths.items():
        found += _limit(axis, length, AXES[axis]) if axis in AXES else []
    if kernel.pipeline:  # TVM cannot pipeline a single step
        found += _limit("pipeline steps", reading.length(kernel.pipeline), STEPS, 2)
    fewest, highest = SLICES
    found += _limit("slices", kernel.slices, highest, fewest)
    return found


def _threads(reading: SketchReading, kernel: BlockLoops) -> Product | None:
    axes = [tiles for axis, tiles in kernel.axes.items() if axis.startswith("threadIdx")]
    return product([reading.length(tiles) for tiles in axes])


def _registers(
    module: Any, sketch: Sketch, reading: SketchReading, block: str, target: Any
) -> list[Limit]:
    """Limits the quarters of registers of a thread, and of all threads of a block."""
    found = []
    for cache in reading.caches.values():
        if (cache.block, cache.scope, cache.result) != (block, "local", True) or not cache.loop:
            continue
        iterators = _before(module, sketch, cache).iter_vars
        own = _results(_steps(reading, cache, ("vthread",)), iterators)
        threads = _threads(reading, reading.kernels[block])
        if own is not None and threads is not None and own.tables:
            each = Side(REST + PER_SUM, ((PER_SUM, own),))
            every = Box(1, (Side(1, ((1, threads),)), each))
            most = int(target.attrs["registers_per_block"])
            found += [
                Limit("registers per thread", (Box(1, (each,)),), 0, 4 * MOST_REGISTERS),
                Limit("registers per block", (every,), 0, 4 * most),
            ]
    return found


def _steps(reading: SketchReading, cache: Cache, together: tuple[str, ...]) -> list[Product | None]:
    """Counts the steps of each of a cache block's iterators in the cache's loop; None if unknown.

    Args:
        reading: The sketch.
        cache: The cache of operands or results.
        together: Thread axes along which the cache is one.
    """
    kernel = reading.kernels[cache.block]
    parallel = reading.alongside(kernel, together)
    inside = parallel | reading.inside(kernel, cache.loop)
    return [
        reading.length(
            tile
            for tile in (parallel if cache.sliced and root == kernel.roots[0] else inside)
            if reading.owner[tile] == (cache.block, root)
        )
        for root in kernel.roots
    ]


def _results(steps: list[Product | None], iterators: Any) -> Product | None:
    """Returns the number of results that a block makes in some steps of its iterators."""
    if len(steps) != len(iterators):
        return None
    pairs = zip(steps, iterators, strict=True)
    return product([count for count, iterator in pairs if int(iterator.iter_type) == PARALLEL])


def _shared(
    module: Any, sketch: Sketch, reading: SketchReading, block: str, target: Any
) -> list[Limit]:
    """Limits shared memory, which may be more where it is asked for at launch, and copies into it.

    TVM may put results where operands were, but does not always.
    """
    known = {
        name: (box, cache.scope)
        for name, cache in reading.caches.items()
        if cache.block == block
        and cache.loop
        and cache.scope.startswith("shared")
        and (box := _box(module, sketch, reading, cache)) is not None
    }
    declared = tuple(box for box, scope in known.values() if scope != DYNAMIC)
    found = [Limit("shared memory", declared, 0, _room(most_static(target), declared))]
    if len(declared) < len(known):
        every = tuple(box for box, _ in known.values())
        found.append(Limit("shared memory at launch", every, 0, _room(most_dynamic(target), every)))
    for name, (box, _) in known.items():
        vector = reading.kernels[name].notes.get(COPIES) if name in reading.kernels else None
        if vector in reading.numbers:
            size = box.unit // reading.kernels[block].copies
            found += crossing_limits(reading.numbers[vector], box.sides, size)
    return [limit for limit in found if limit.boxes]


def _room(most: int, boxes: tuple[Box, ...]) -> int:
    """Returns the bytes of shared memory that are left once buffers are aligned."""
    return most - ALIGNED * (len(boxes) - 1)


def _box(module: Any, sketch: Sketch, reading: SketchReading, cache: Cache) -> Box | None:
    """Returns the part of an operand or a result that a thread block keeps; None where unknown."""
    block = _before(module, sketch, cache)
    steps = _steps(reading, cache, ("vthread", "threadIdx"))
    region = (block.writes if cache.result else block.reads)[cache.place]
    size = tvm.DataType(region.source.dtype).bits // 8
    if cache.result:
        results = _results(steps, block.iter_vars)
        widths = [Side(int(part.extent), ()) for part in region.region]
        return Box(size, (*widths, Side(1, ((1, results),)))) if results is not None else None
    if len(steps) != len(block.iter_vars):
        return None
    sides = [_side(part, block.iter_vars, steps) for part in region.region]
    known = tuple(side for side in sides if side is not None)
    copies = reading.kernels[cache.block].copies
    return Box(size * copies, known, cache.padding) if len(known) == len(sides) else None


def _side(part: Any, iterators: Any, steps: list[Product | None]) -> Side | None:
    """Returns one side of what a block reads; None unless its start is linear in the iterators."""
    factors = detect_linear_equation(part.min, [iterator.var for iterator in iterators])
    moves = [(int(f), n) for f, n in zip(factors[:-1], steps, strict=False) if int(f)]
    if not len(factors) or any(count is None for _, count in moves):
        return None
    return Side(int(part.extent), tuple(moves))  # type: ignore[arg-type]


def _before(module: Any, sketch: Sketch, cache: Cache) -> Any:
    """Returns the block that a cache is made for, as it is right before the cache is made."""
    instructions = sketch.instructions[: cache.made]
    first = [[s.instruction, s.decisions[0]] for s in sketch.slots if s.instruction < cache.made]
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    Trace.apply_json_to_schedule([instructions, first], schedule)
    number, place = next(
        (number, outputs.index(cache.block))
        for number, (_, _, _, outputs) in enumerate(instructions)
        if cache.block in outputs
    )
    return schedule.get(schedule.trace.insts[number].outputs[place])
