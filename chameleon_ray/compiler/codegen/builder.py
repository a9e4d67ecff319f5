"""Compiling: a task's program and a configuration in, code to load or the reason why not out.

What the code is, and what compiles it, is the target kind's; here is the warm child that does it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task

SINGLE_THREADED = (("OMP_NUM_THREADS", "1"), ("TVM_NUM_THREADS", "1"))
FAILURES = {
    Ending.TIMEOUT: Status.BUILD_TIMEOUT,
    Ending.ERROR: Status.BUILD_ERROR,
    Ending.CRASH: Status.CRASH,
}
"""What becomes of a configuration whose build ended so."""


@dataclass(frozen=True)
class Job:
    """One configuration of one program, to compile; see ``TargetKind`` for ``linked``."""

    program: bytes
    config: Config
    linked: bool = False

    def run(self, compiler: "Compiles") -> Artifact:
        return compiler.compile(self)


class Compiles(Protocol):
    """What runs inside a child that compiles: a builder's, or a runner's that helps."""

    def compile(self, job: Job) -> Artifact:
        """Compiles one configuration; whether it is the default, and how long it took, is for
        whoever asked for it to say."""
        ...


class Compiler:
    """What runs inside the builder's child; keeps the programs it has parsed."""

    def __init__(self, kind: TargetKind) -> None:
        block_torch()
        kind.warm()
        self._kind = kind
        self._programs: dict[bytes, Any] = {}

    def compile(self, job: Job) -> Artifact:
        """See ``Compiles``."""
        from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program

        kind, program = self._kind, self._programs.get(job.program)
        if program is None:
            program = self._programs[job.program] = Program.loads(job.program)
        try:
            if job.config == DEFAULT:
                module = kind.default(program.module, program.target)
            else:
                module = program.schedule(job.config, kind.generator).mod
        except InvalidConfig as reason:
            return Artifact(status=Status.INVALID, error=str(reason))
        return kind.compile_layer(module, program.target, job.linked)


def artifact_of(outcome: Outcome, config: Config) -> Artifact:
    """What a child's job to compile a configuration came to."""
    default = config == DEFAULT
    if outcome.ending is Ending.OK:
        built: Artifact = outcome.value
        return replace(built, default=default, seconds=outcome.seconds)
    return Artifact(b"", default, FAILURES[outcome.ending], outcome.seconds, outcome.error)


def compiler(kind: TargetKind) -> Callable[[Job], Artifact]:
    """Factory of the builder's child."""
    return Compiler(kind).compile


class ChildBuilder:
    """Compiles on this machine, in a warm child that a hang or crash cannot outlive."""

    def __init__(
        self,
        kind: TargetKind,
        options: Measuring,
        cores: tuple[int, ...] | None = None,
        linked: bool = False,
    ) -> None:
        """Takes what it compiles for, the cores to compile on, and whether that is to leave nothing
        to the runner."""
        self.kind, self.options, self.linked = kind, options, linked
        self._child = Isolate(
            Setting(
                handler="chameleon_ray.compiler.codegen.builder:compiler",
                argument=kind,
                cores=cores,
                memory_bytes=options.memory_bytes,
                environment=SINGLE_THREADED,
            )
        )

    def warm(self) -> None:
        """Waits until it can compile without delay."""
        self._child.warm()

    def build(self, task: Task, config: Config) -> Artifact:
        """Compiles one configuration; the empty one is the task's default schedule."""
        options = self.options
        timeout = self.kind.build_timeout(options)
        if config == DEFAULT:  # it is needed in any case
            timeout = options.default_timeout
        self._child.renew(options.jobs_per_child)
        outcome = self._child.call(Job(task.program, config, self.linked), timeout)
        return artifact_of(outcome, config)

    def close(self) -> None:
        self._child.close()
