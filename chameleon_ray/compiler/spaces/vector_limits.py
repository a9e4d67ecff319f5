"""Limits of the vectors in which a GPU sketch copies between memories, read off the copying blocks.

TVM copies elements that do not lie next to each other in vectors, too, whose places are then
vectors of integers. ``VerifyGPUCode`` turns some of those down that are too wide, and TVM's code
generator writes others that no compiler takes (``make_longlong4`` with eight arguments).

Where a copy also computes, as a sum or a conversion, the code generator reads a vector of shared
memory once for all steps of an unrolled loop, although other results are there in each.
"""

from math import prod
from typing import Any

import tvm
import tvm_ffi
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import ScheduleError, Trace
from tvm.sym import Analyzer

from chameleon_ray.compiler.spaces.sketch import SEED, Sketch
from chameleon_ray.compiler.spaces.trace_analysis import SketchReading
from chameleon_ray.limit import Box, Limit, Product, Side

COPIES = "meta_schedule.cooperative_fetch"
"""Annotation of a block that all threads of a block carry out together, by the vectors' length."""
UNROLLED = "meta_schedule.unroll_explicit"
"""Annotation of the block around all others: the most steps of a loop that is unrolled."""
WIDEST = 16
"""Most bytes of a vector that a GPU copies at once."""
INDEX = 4
"""Bytes of an element's place."""
CONDITIONAL = "prim.if_then_else"
MANY = 1 << 20
"""More vectors than a copy has."""


def vector_limits(module: Any, sketch: Sketch, reading: SketchReading) -> list[Limit]:
    """Returns the limits of a sketch's vectors, in bytes; empty where it has none.

    Args:
        module: IRModule with one PrimFunc ``main``.
        sketch: Sketch of the layer.
        reading: The sketch's instructions, read.
    """
    lengths = {
        block: reading.numbers[kernel.notes[COPIES]]
        for block, kernel in reading.kernels.items()
        if kernel.notes.get(COPIES) in reading.numbers
    }
    if not any(length.tables for length in lengths.values()):
        return []
    blocks = _scheduled(module, sketch, set(lengths))
    found = []
    for name, block in blocks.items():
        for knob, lanes in lengths[name].tables:
            widths = tuple(_width(block, number) for number in lanes)
            if max(widths) > WIDEST:
                box = Box.of(Product(1, ((knob, widths),)))
                found.append(Limit("bytes of a vector", (box,), 0, WIDEST))
        if _computes(block):
            found += _read_once(lengths[name], reading)
    return found


def crossing_limits(length: Product, sides: tuple[Side, ...], size: int) -> list[Limit]:
    """Returns the limits that keep vectors of many elements inside the rows of a part of a buffer.

    Where a row ends in a vector, its elements have places of their own, which are wider than they.

    Args:
        length: Elements of a vector.
        sides: The part's extents; what has one row is left out.
        size: Bytes of an element.
    """
    *outer, row = sides
    if all(side.width == 1 and all(n == Product() for _, n in side.steps) for side in outer):
        return []
    knobs = [knob for _, steps in row.steps for knob, _ in steps.tables]
    if len(row.steps) != 1 or row.steps[0][0] != row.width or len(set(knobs)) != 1:
        return []
    extents = [row.width * steps for steps in _multiplied(row.steps[0][1])]
    found = []
    for knob, lanes in length.tables:
        for wide in sorted({n for n in lanes if n * size <= WIDEST < n * max(size, INDEX)}):
            vectors = Product(1, ((knob, tuple(int(n == wide) for n in lanes)),))
            ends = Product(1, ((knobs[0], tuple(int(extent % wide > 0) for extent in extents)),))
            found.append(Limit("vectors across rows", (Box.of(vectors * ends),), 0, 0))
    return found


def _multiplied(steps: Product) -> list[int]:
    """Returns the product for each choice of the only knob that it depends on."""
    choices = zip(*(numbers for _, numbers in steps.tables), strict=True)
    return [steps.constant * prod(numbers) for numbers in choices]


def _computes(block: Any) -> bool:
    """Whether a block does more with shared memory than to copy it."""
    loads: list[Any] = []
    tvm_ffi.structural_walk(block.body, (tvm.ir.TensorLoad, loads.append))
    shared = any(load.source.scope().startswith("shared") for load in loads)
    return shared and not isinstance(block.body.value, tvm.ir.TensorLoad)


def _read_once(length: Product, reading: SketchReading) -> list[Limit]:
    """Returns the limits that keep vectors out of unrolled loops."""
    notes = (kernel.notes.get(UNROLLED) for kernel in reading.kernels.values())
    steps = (reading.numbers[note] for note in notes if note in reading.numbers)
    return [
        Limit("unrolled vectors", (Box.of(_longer(length, 1) * _longer(unrolled, 0)),), 0, 0)
        for unrolled in steps
    ]


def _longer(numbers: Product, than: int) -> Product:
    """Returns a product that is 1 where a knob's number is greater, and else 0."""
    tables = ((knob, tuple(int(n > than) for n in table)) for knob, table in numbers.tables)
    return Product(int(numbers.constant > than) if not numbers.tables else 1, tuple(tables))


def _scheduled(module: Any, sketch: Sketch, names: set[str]) -> dict[str, Any]:
    """Returns blocks by their names in the sketch, as they are once it is applied."""
    first = [[slot.instruction, slot.decisions[0]] for slot in sketch.slots]
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    try:
        Trace.apply_json_to_schedule([sketch.instructions, first], schedule)
    except ScheduleError:
        return {}
    return {
        name: schedule.get(variable)
        for (_, _, _, outputs), made in zip(sketch.instructions, schedule.trace.insts, strict=True)
        for name, variable in zip(outputs, made.outputs, strict=True)
        if name in names
    }


def _width(block: Any, lanes: int) -> int:
    """Returns the bytes of the widest vector where a block's last axis is taken in vectors.

    A vector is as wide as its elements where these lie next to each other on a buffer's last axis;
    else it may be as wide as their places. TVM does not always see that elements are neighbours
    across axes.
    """
    if lanes == 1:
        return 0
    axis, analyzer = block.iter_vars[-1], Analyzer()
    if not _is_power_of_two(lanes) and int(axis.dom.extent) % lanes:
        return WIDEST + 1  # TVM fails on some of those that end in the next row
    vector, lane = (tvm.tirx.Var(name, axis.var.ty) for name in ("vector", "lane"))
    analyzer.bind(vector, tvm.ir.Range(0, MANY))
    analyzer.bind(lane, tvm.ir.Range(0, lanes))

    def step(index: Any) -> Any:
        """The way from the vector's first element to another one's."""
        first, other = (_with(index, axis.var, vector * lanes + n) for n in (0, lane))
        return analyzer.simplify(other - first)

    width = 0
    for size, indices in _accesses(block):
        *outer, last = map(step, indices)
        if any(not _is_number(move, 0) for move in outer):
            width = max(width, lanes * max(size, INDEX))
        elif not _is_number(last, 0):
            width = max(width, lanes * (size if last.same_as(lane) else max(size, INDEX)))
    return width


def _with(expression: Any, variable: Any, value: Any) -> Any:
    """Puts a value in a variable's place."""
    replaced = (tvm.ir.Var, lambda found: value if found.same_as(variable) else found)
    return tvm_ffi.structural_map(expression, replaced)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _is_number(expression: Any, number: int) -> bool:
    return isinstance(expression, tvm.tirx.IntImm) and int(expression) == number


def _accesses(block: Any) -> list[tuple[int, list[Any]]]:
    """Returns an element's bytes, and its indices, of all that a block reads or writes.

    A condition of reading, as in padding, counts as a place of no bytes.
    """
    found: list[tuple[int, list[Any]]] = []

    def access(buffer: Any, indices: Any) -> None:
        found.append((tvm.DataType(buffer.dtype).bits // 8, list(indices)))

    def call(node: Any) -> None:
        if getattr(node.op, "name", "") == CONDITIONAL:
            found.append((0, [tvm.tirx.Cast("int32", node.args[0])]))

    tvm_ffi.structural_walk(
        block.body,
        (
            (tvm.ir.TensorLoad, lambda node: access(node.source, node.indices)),
            (tvm.tirx.BufferStore, lambda node: access(node.buffer, node.indices)),
            (tvm.ir.Call, call),
        ),
    )
    return found
