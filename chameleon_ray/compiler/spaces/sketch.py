"""Sketches: a layer's schedules with their sampling left open.

Each sampling instruction of a sketch is a knob, or has one choice only. A ``Program`` holds the
layer with its sketches and turns a configuration into a trace and back.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import Trace

from chameleon_ray.compiler.nvidia import DYNAMIC, roomy
from chameleon_ray.compiler.tvm_process import tune_context
from chameleon_ray.space import Config

Generator = Callable[[Any, Any], Any]
"""Makes MetaSchedule's generator of a layer's sketches, given the layer and its target."""
SEED = 1
"""Seed of schedules; it decides nothing, as a configuration decides all sampling."""


@dataclass(frozen=True)
class Slot:
    """One sampling instruction of a sketch.

    Attributes:
        instruction: Number of the instruction in the trace.
        kind: Kind of the instruction: ``SamplePerfectTile``, ``SampleCategorical`` or
            ``SampleComputeLocation``.
        decisions: Decision for each choice of the knob.
        knob: Number of the knob in the space; -1 where there is one choice only.
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

    @property
    def asks_for_shared(self) -> bool:
        """Whether it has buffers in the shared memory that a GPU's block asks for at launch."""
        return any(DYNAMIC in attributes for _, _, attributes, _ in self.instructions)

    def trace(self, config: Config) -> list[Any]:
        """Returns the trace, as MetaSchedule's JSON, with the decisions of a configuration."""
        decisions = [
            [slot.instruction, slot.decisions[config[slot.knob] if slot.knob >= 0 else 0]]
            for slot in self.slots
        ]
        return [self.instructions, decisions]


class InvalidConfig(Exception):
    """A configuration that TVM's static checks turned down, or whose trace does not apply."""


class Program:
    """A layer, its target and its sketches; travels as JSON bytes."""

    def __init__(self, module: str, target: str, sketches: tuple[Sketch, ...], knobs: int) -> None:
        self.module_json, self.target_json = module, target
        self.sketches, self.knobs = sketches, knobs
        self._checks: dict[bool, tuple[Any, list[Any]]] = {}

    @staticmethod
    def loads(body: bytes) -> "Program":
        """Reads a program that ``dumps`` has written; reads data only, and runs nothing."""
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

    def sketch(self, config: Config) -> Sketch:
        """Returns the sketch that a configuration is of."""
        return self.sketches[config[0] if len(self.sketches) > 1 else 0]

    def trace(self, config: Config) -> list[Any]:
        """Converts a configuration to a trace, as JSON."""
        return self.sketch(config).trace(config)

    def config(self, trace: list[Any]) -> Config:
        """Converts a trace of one of the sketches to its configuration: the inverse of ``trace``.

        Raises:
            ValueError: The trace is of none of the sketches.
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

    def schedule(self, config: Config, generator: Generator) -> Schedule:
        """Schedules the layer by a configuration.

        Args:
            config: One choice for each knob.
            generator: Maker of the generator whose postprocessors check the schedule; the same one
                in every call.

        Raises:
            InvalidConfig: A postprocessor turned the schedule down, or the trace does not apply.
        """
        at_launch = self.sketch(config).asks_for_shared
        checks = self._postprocessors(generator, at_launch)  # registers intrinsics, so comes first
        schedule = Schedule(self.module, seed=SEED, debug_mask=0, error_render_level="fast")
        try:
            Trace.apply_json_to_schedule(self.trace(config), schedule)
        except Exception as error:
            raise InvalidConfig(f"the trace does not apply: {_last_line(error)}") from error
        schedule.enter_postproc()
        for postprocessor in checks:
            if not postprocessor.apply(schedule):
                raise InvalidConfig(f"turned down by {type(postprocessor).__name__}")
        return schedule

    def _postprocessors(self, generator: Generator, at_launch: bool) -> list[Any]:
        """Returns the checks; shared memory that is asked for at launch has a limit of its own."""
        if at_launch not in self._checks:
            made = generator(self.module, self.target)
            target = roomy(self.target) if at_launch else self.target
            context = tune_context(self.module, target, made, SEED)
            self._checks[at_launch] = context, list(made.postprocs)
        return self._checks[at_launch][1]


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
