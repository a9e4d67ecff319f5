"""Builders, which compile configurations of a task's program in a warm child.

The kind of target decides what the code is and what compiles it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Measuring
from chameleon_ray.record import DEFAULT, LONGEST_ERROR, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.vendor import library_of

SINGLE_THREADED = (("OMP_NUM_THREADS", "1"), ("TVM_NUM_THREADS", "1"))
FAILURES = {
    Ending.TIMEOUT: Status.BUILD_TIMEOUT,
    Ending.ERROR: Status.BUILD_ERROR,
    Ending.CRASH: Status.CRASH,
}
"""Status of a configuration's build, by the ending of the job."""


@dataclass(frozen=True)
class Job:
    """A job that compiles one configuration of a program; see ``TargetKind`` for ``linked``."""

    program: bytes
    config: Config
    linked: bool = False

    def run(self, compiler: "Compiles") -> Artifact:
        return compiler.compile(self)


class Compiles(Protocol):
    """Compiles inside a child: a builder's, or that of a runner that helps."""

    def compile(self, job: Job) -> Artifact:
        """Compiles one configuration.

        The caller adds to the artifact whether it is the default, and how long it took.
        """
        ...


class Compiler:
    """Compiles inside the builder's child, and keeps the programs it has parsed."""

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
            elif library_of(job.config):
                module = kind.vendor_call(program.module, job.config)
            else:
                module = program.schedule(job.config, kind.generator).mod
        except InvalidConfig as reason:
            return Artifact(status=Status.INVALID, error=str(reason))
        return kind.compile_layer(module, program.target, job.linked)


def artifact_of(outcome: Outcome, config: Config) -> Artifact:
    """Makes the artifact of a configuration from the outcome of the child's job."""
    default = config == DEFAULT
    if outcome.ending is Ending.OK:
        built: Artifact = outcome.value
        return replace(built, default=default, seconds=outcome.seconds)
    error = outcome.error[:LONGEST_ERROR]
    return Artifact(b"", default, FAILURES[outcome.ending], outcome.seconds, error)


def compiler(kind: TargetKind) -> Callable[[Job], Artifact]:
    """Makes the handler in the builder's child."""
    return Compiler(kind).compile


class ChildBuilder:
    """Compiles on this machine, in a warm child that is replaced after a hang or a crash."""

    def __init__(
        self,
        kind: TargetKind,
        options: Measuring,
        cores: tuple[int, ...] | None = None,
        linked: bool = False,
        freezer: Freezer | None = None,
    ) -> None:
        """Starts the child.

        Args:
            kind: Kind of the targets.
            options: Time limits, memory, and the number of jobs per child.
            cores: Cores to compile on; all of this process's where None.
            linked: Whether to leave nothing to the runner.
            freezer: Freezer that the child joins, if any.
        """
        self.kind, self.options, self.linked = kind, options, linked
        self._child = Isolate(
            Setting(
                handler="chameleon_ray.compiler.codegen.builder:compiler",
                argument=kind,
                cores=cores,
                memory_bytes=options.memory_bytes,
                environment=SINGLE_THREADED,
                freezer=freezer,
            )
        )

    def warm(self) -> None:
        """Waits until the child can compile without delay."""
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
