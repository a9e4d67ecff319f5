"""Design spaces from MetaSchedule's sketches: a layer's TIR in, knobs and their way back out.

Every sketch is a trace; each of its sampling instructions is a knob. Sketches share the knobs that
they have in common, and which sketch it is, is knob 0 where there are several. A ``Program`` holds
the layer with its sketches and turns a configuration into a trace and back.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.space_generator import SpaceGenerator
from tvm.s_tir.schedule import Trace

from chameleon_ray.compiler.session import register_x86_intrinsics, tune_context
from chameleon_ray.knob import Knob
from chameleon_ray.space import Config, DesignSpace

ROOT = -1
"""``sample_compute_location``: compute at the root."""
INLINE = -2
"""``sample_compute_location``: inline."""
SEED = 1
"""Of the schedules whose sampling is decided by a configuration anyway."""


@dataclass(frozen=True)
class Slot:
    """One sampling instruction of a sketch.

    Attributes:
        instruction: Its number in the trace.
        kind: ``SamplePerfectTile``, ``SampleCategorical`` or ``SampleComputeLocation``.
        decisions: The decision for each choice of its knob.
        knob: Number of its knob in the space; -1 where it has one choice only.
    """

    instruction: int
    kind: str
    decisions: tuple[Any, ...]
    knob: int


@dataclass(frozen=True)
class Sketch:
    """One way to structure the layer's loops: a trace without decisions, and its slots."""

    instructions: list[Any]
    slots: tuple[Slot, ...]

    def trace(self, config: Config) -> list[Any]:
        """The trace, as MetaSchedule's JSON, with the decisions of a configuration."""
        decisions = [
            [slot.instruction, slot.decisions[config[slot.knob] if slot.knob >= 0 else 0]]
            for slot in self.slots
        ]
        return [self.instructions, decisions]


class InvalidConfig(Exception):
    """TVM's static checks turned a configuration down."""


class Program:
    """A layer, its target and its sketches; travels as JSON bytes."""

    def __init__(self, module: str, target: str, sketches: tuple[Sketch, ...], knobs: int) -> None:
        self.module_json, self.target_json = module, target
        self.sketches, self.knobs = sketches, knobs

    @staticmethod
    def loads(body: bytes) -> "Program":
        """The inverse of ``dumps``; reads data only, runs nothing."""
        fields = json.loads(body)
        sketches = tuple(
            Sketch(instructions, tuple(Slot(*slot) for slot in slots))
            for instructions, slots in fields["sketches"]
        )
        return Program(fields["module"], fields["target"], sketches, fields["knobs"])

    def dumps(self) -> bytes:
        sketches = [
            [s.instructions, [[t.instruction, t.kind, t.decisions, t.knob] for t in s.slots]]
            for s in self.sketches
        ]
        return json.dumps(
            {
                "module": self.module_json,
                "target": self.target_json,
                "sketches": sketches,
                "knobs": self.knobs,
            }
        ).encode()

    @cached_property
    def module(self) -> Any:
        return tvm.ir.load_json(self.module_json)

    @cached_property
    def target(self) -> Any:
        return tvm.target.Target(json.loads(self.target_json))

    @cached_property
    def arguments(self) -> tuple[tuple[tuple[int, ...], str], ...]:
        """Shape and dtype of every buffer the layer reads or writes, in order."""
        params = [param.ty for param in self.module["main"].params]
        return tuple((tuple(int(d) for d in p.shape), str(p.dtype)) for p in params)

    def trace(self, config: Config) -> list[Any]:
        """A configuration as a trace, as JSON."""
        return self.sketches[config[0] if len(self.sketches) > 1 else 0].trace(config)

    def config(self, trace: list[Any]) -> Config:
        """The configuration of a trace of one of the sketches: the inverse of ``trace``.

        Raises:
            ValueError: The trace is of none of them.
        """
        instructions, decisions = trace
        decided = {index: decision for index, decision in decisions}
        for number, sketch in enumerate(self.sketches):
            if sketch.instructions != instructions:
                continue
            config = [0] * self.knobs
            if len(self.sketches) > 1:
                config[0] = number
            for slot in sketch.slots:
                if slot.knob >= 0:
                    config[slot.knob] = slot.decisions.index(decided[slot.instruction])
            return tuple(config)
        raise ValueError("the trace is of none of this layer's sketches")

    def schedule(self, config: Config) -> Schedule:
        """The scheduled layer.

        Raises:
            InvalidConfig: A postprocessor turned it down, or the trace does not apply.
        """
        schedule = Schedule(self.module, seed=SEED, debug_mask=0, error_render_level="fast")
        try:
            Trace.apply_json_to_schedule(self.trace(config), schedule)
        except Exception as error:
            raise InvalidConfig(f"the trace does not apply: {_last_line(error)}") from error
        schedule.enter_postproc()
        for postprocessor in self._postprocessors:
            if not postprocessor.apply(schedule):
                raise InvalidConfig(f"turned down by {type(postprocessor).__name__}")
        return schedule

    @cached_property
    def _postprocessors(self) -> list[Any]:
        generator = SpaceGenerator.create("post-order-apply")
        self._context = tune_context(self.module, self.target, generator, SEED)
        return list(generator.postprocs)


def design(module: Any, target: Any) -> tuple[DesignSpace, Program]:
    """The design space of one layer and the program that realises its configurations.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: ``tvm.target.Target``.

    Returns:
        A space without knobs where MetaSchedule has no sketch for the layer.
    """
    register_x86_intrinsics()
    generator = SpaceGenerator.create("post-order-apply")
    context = tune_context(module, target, generator, SEED)
    traces = [sketch.trace for sketch in generator.generate_design_space(module)]
    del context
    numbered: dict[tuple, int] = {}
    knobs: list[Knob] = []
    if len(traces) > 1:
        knobs.append(Knob.listed("sketch", tuple(range(len(traces)))))
    sketches = tuple(_sketch(module, t, n, knobs, numbered) for n, t in enumerate(traces))
    if sketches and not knobs:
        knobs.append(Knob.listed("sketch", (0,)))
    active = None
    if len(sketches) > 1:
        active = np.zeros((len(sketches), len(knobs)), dtype=bool)
        active[:, 0] = True
        for number, sketch in enumerate(sketches):
            active[number, [slot.knob for slot in sketch.slots if slot.knob >= 0]] = True
    program = Program(tvm.ir.save_json(module), str(target), sketches, len(knobs))
    return DesignSpace(tuple(knobs), active), program


def _sketch(
    module: Any, trace: Any, number: int, knobs: list[Knob], numbered: dict[tuple, int]
) -> Sketch:
    """One sketch; knobs that no earlier sketch has are added to ``knobs`` and ``numbered``.

    A knob is named after its place in the first sketch that has it, not after its extent, so that
    layers of the same operators have knobs of the same names.
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
    """The knob of one sampling instruction and the decision that stands for each choice."""
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
    """Loops around the consumers of the block whose location is sampled."""
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
    """The random variable of a replay that stands where ``variable`` stands in its trace."""
    for original, copy in zip(trace.insts, replay.insts, strict=False):
        for output, twin in zip(original.outputs, copy.outputs, strict=True):
            if output.same_as(variable):
                return twin
    raise ValueError("the trace does not define this variable")


def _plain(value: Any) -> Any:
    """TVM's arrays, strings and numbers as Python's."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "__iter__"):
        return [_plain(item) for item in value]
    return getattr(value, "value", value)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
