"""Design spaces: the knobs of a layer, and the program that realises their configurations.

A layer that a template fits has the template's space. Any other layer has the space of
MetaSchedule's sketches. Both kinds of space are made of traces, whose sampling instructions are the
knobs. Sketches share the knobs that they have in common. Where there are several sketches, knob 0
chooses one.
"""

import logging
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import ScheduleError, Trace

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.compiler.spaces.sketch import SEED, Program, Sketch, Slot
from chameleon_ray.compiler.spaces.template_limits import template_limits
from chameleon_ray.compiler.spaces.templates.template import Fitted
from chameleon_ray.compiler.tvm_process import tune_context
from chameleon_ray.knob import Knob
from chameleon_ray.limit import Limit
from chameleon_ray.space import DesignSpace

logger = logging.getLogger(__name__)

LISTED = 20_000
"""Most combinations of a space with limits for which the valid ones are listed."""
DRAWN = 20_000
"""Number of combinations drawn to see whether the limits leave any."""
ROOT = -1
"""Decision of ``sample_compute_location`` to compute at the root."""
INLINE = -2
"""Decision of ``sample_compute_location`` to inline."""


def design(module: Any, target: Any, kind: TargetKind) -> tuple[DesignSpace, Program]:
    """Makes the design space of one layer, and the program that realises its configurations.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: ``tvm.target.Target`` that the layer is for.
        kind: Kind of the target, which has templates, a generator and limits.

    Returns:
        The space and the program. The space has no knobs where there is neither a template nor a
        sketch for the layer.
    """
    fitted = _fitted(module, target, kind)
    traces = [fitted.trace, *fitted.others] if fitted else _generated(module, target, kind)
    numbered: dict[tuple, int] = {}
    knobs: list[Knob] = []
    if len(traces) > 1:
        knobs.append(Knob.listed("sketch", tuple(range(len(traces)))))
    sketches = tuple(_sketch(module, t, n, knobs, numbered) for n, t in enumerate(traces))
    members = _members(knobs, sketches[0], fitted) if fitted and fitted.block else None
    if sketches and not knobs:
        knobs.append(Knob.listed("sketch", (0,)))
    program = Program(tvm.ir.save_json(module), str(target), sketches, len(knobs))
    space = DesignSpace(tuple(knobs), _active(knobs, sketches), members)
    if fitted is not None and fitted.bounds:
        limits = template_limits(fitted, sketches)
    else:
        limits = kind.limits(module, sketches, target)
    return _limited(space, limits) if limits else space, program


def _limited(space: DesignSpace, limits: tuple[Limit, ...]) -> DesignSpace:
    """Restricts a space by limits; a space of which they leave nothing stays whole.

    A small space gets a list of what the limits leave.
    """
    limited = replace(space, limits=limits)
    if space.size <= LISTED:
        members = limited.enumerate()
        if 0 < len(members) < space.size:
            return replace(space, members=members)
        if not len(members):
            logger.warning("None of %d configurations keeps a layer's limits.", space.size)
        return space
    if not limited.valid(space.random(np.random.default_rng(SEED), DRAWN)).any():
        logger.warning("None of %d configurations keeps a layer's limits.", DRAWN)
        return space
    return limited


def _fitted(module: Any, target: Any, kind: TargetKind) -> Fitted | None:
    """Fits the first template that suits a layer; one whose schedule TVM refuses does not."""
    for template in kind.templates():
        try:
            fitted: Fitted | None = template(module, target)
        except ScheduleError as error:
            logger.info("A template does not fit: %s", error)
            continue
        if fitted is not None:
            return fitted
    return None


def _generated(module: Any, target: Any, kind: TargetKind) -> list[Any]:
    """Returns the traces of MetaSchedule's sketches of a layer; none where its rules fail."""
    generator = kind.generator(module, target)
    context = tune_context(module, target, generator, SEED)
    try:
        with quiet():  # it warns of rules of other projects
            return [sketch.trace for sketch in generator.generate_design_space(module)]
    except ScheduleError as error:
        logger.info("MetaSchedule has no sketches of a layer: %s", error)
        return []
    finally:
        del context


def _active(knobs: list[Knob], sketches: tuple[Sketch, ...]) -> np.ndarray | None:
    """Tells which knobs count in which sketch, as ``(sketches, knobs)`` bool.

    None where there are fewer than two sketches.
    """
    if len(sketches) < 2:
        return None
    active = np.zeros((len(sketches), len(knobs)), dtype=bool)
    active[:, 0] = True
    for number, sketch in enumerate(sketches):
        active[number, [slot.knob for slot in sketch.slots if slot.knob >= 0]] = True
    return active


def _members(knobs: list[Knob], sketch: Sketch, fitted: Fitted) -> np.ndarray | None:
    """Lists the configurations whose sums fill the registers and fit into them."""
    count = np.ones([len(knob) for knob in knobs], dtype=np.int64)
    for slot in sketch.slots:
        outputs = fitted.trace.insts[slot.instruction].outputs
        if any(output.same_as(size) for output in outputs for size in fitted.block):
            tiles = np.array([decision[-1] for decision in slot.decisions])
            axes = [knob for knob in range(len(knobs)) if knob != slot.knob]
            count *= np.expand_dims(tiles, axes) if slot.knob >= 0 else tiles[0]
    fewest, most = fitted.registers
    fewest = min(fewest, count[count <= most].max())
    return np.argwhere((count >= fewest) & (count <= most)) if knobs else None


def _sketch(
    module: Any, trace: Any, number: int, knobs: list[Knob], numbered: dict[tuple, int]
) -> Sketch:
    """Makes one sketch, and adds knobs that no earlier one has to ``knobs`` and ``numbered``.

    A knob is named after its place in the first sketch that has it, not after its extent. So layers
    of the same operators have knobs of the same names.
    """
    instructions, _ = _plain(trace.as_json(remove_postproc=True))
    occurrences: Counter[tuple] = Counter()
    slots = []
    for index, instruction in enumerate(trace.insts):
        kind = instruction.kind.name
        if not kind.startswith("Sample"):
            continue
        knob, decisions = _knob(module, trace, index, instruction)
        identity = (kind, knob.choices)
        occurrences[identity] += 1
        if len(knob) == 1:
            slots.append(Slot(index, kind, decisions, -1))
            continue
        key = (*identity, occurrences[identity])
        if key not in numbered:
            numbered[key] = len(knobs)
            name = f"{knob.name}{number}.{occurrences.total() - 1}"
            knobs.append(Knob(name, knob.choices, knob.coordinates, knob.features))
        slots.append(Slot(index, kind, decisions, numbered[key]))
    return Sketch(instructions, tuple(slots))


def _knob(module: Any, trace: Any, index: int, instruction: Any) -> tuple[Knob, tuple[Any, ...]]:
    """Makes the knob of a sampling instruction, and the decision that stands for each choice."""
    attributes = _plain(instruction.attrs)
    if instruction.kind.name == "SamplePerfectTile":
        extent = math.prod(_plain(trace.get_decision(instruction)))
        knob = Knob.tiling("tile", extent, *attributes)
        return knob, tuple(list(choice) for choice in knob.choices)  # type: ignore[arg-type]
    if instruction.kind.name == "SampleCategorical":
        candidates = attributes[0]
        return Knob.listed("choice", candidates), tuple(range(len(candidates)))
    if instruction.kind.name == "SampleComputeLocation":
        locations = (INLINE, ROOT, *range(_depth(module, trace, index, instruction)))
        return Knob.listed("location", locations), locations
    raise NotImplementedError(f"no knob for the sampling instruction {instruction.kind.name}")


def _depth(module: Any, trace: Any, index: int, instruction: Any) -> int:
    """Counts the loops around the deepest consumer of the block whose location is sampled."""
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    body, decisions = _plain(trace.as_json(remove_postproc=True))
    before = [decision for decision in decisions if decision[0] < index]
    before = [[i, ROOT] if body[i][0] == "SampleComputeLocation" else [i, d] for i, d in before]
    prefix = [body[:index], before]
    Trace.apply_json_to_schedule(prefix, schedule)
    block = _replayed(trace, schedule.trace, instruction.inputs[0])
    consumers = schedule.get_consumers(block)
    return max((len(schedule.get_loops(consumer)) for consumer in consumers), default=0)


def _replayed(trace: Any, replay: Any, variable: Any) -> Any:
    """Finds the random variable of a replay that stands where ``variable`` does in its trace."""
    for original, copy in zip(trace.insts, replay.insts, strict=False):
        for output, twin in zip(original.outputs, copy.outputs, strict=True):
            if output.same_as(variable):
                return twin
    raise ValueError("the trace does not define this variable")


def _plain(value: Any) -> Any:
    """Converts TVM's arrays, strings and numbers to Python's."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "__iter__"):
        return [_plain(item) for item in value]
    return getattr(value, "value", value)
