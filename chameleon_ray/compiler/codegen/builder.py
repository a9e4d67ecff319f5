"""Compiling: a task's program and a configuration in, code to load or the reason why not out.

On a CPU target a builder optimises and hands over LLVM IR; the runner's core, idle at that moment,
generates the machine code as it loads it. That needs no linker, and halves what one core compiles.
Where a machine has many builders, they generate the machine code as well, and hand over a shared
library. For a GPU it is the binary, so that the runner compiles nothing, and what it takes.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from chameleon_ray.compiler.codegen.link import QUICKEST, link
from chameleon_ray.compiler.target import is_gpu
from chameleon_ray.compiler.tvm_process import UNCHECKED, block_torch, register_intrinsics
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task

SINGLE_THREADED = (("OMP_NUM_THREADS", "1"), ("TVM_NUM_THREADS", "1"))
TOO_MUCH = re.compile(r"uses too much|too many resources", re.IGNORECASE)
"""How ptxas turns down what the GPU has too little of."""
FAILURES = {
    Ending.TIMEOUT: Status.BUILD_TIMEOUT,
    Ending.ERROR: Status.BUILD_ERROR,
    Ending.CRASH: Status.CRASH,
}
"""What becomes of a configuration whose build ended so."""
LONGEST = 300
"""Characters of an error in a record."""


@dataclass(frozen=True)
class Job:
    """One configuration of one program, to compile; on a CPU to a shared library if ``linked``."""

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

    def __init__(self, gpu: bool = False) -> None:
        block_torch()

        register_intrinsics("cuda" if gpu else "llvm")
        self._programs: dict[bytes, Any] = {}
        if gpu:
            from tvm.s_tir import dlight  # noqa: F401

            from chameleon_ray.compiler.codegen import (
                cuda_compiler,
                cuda_library,  # noqa: F401
            )

            cuda_compiler.demand()
        else:
            from chameleon_ray.compiler.passes.elementary import register_elementary

            register_elementary()

    def __call__(self, job: Job) -> Artifact:
        return job.run(self)

    def compile(self, job: Job) -> Artifact:
        """See ``Compiles``."""
        from chameleon_ray.compiler.codegen.default_schedule import default
        from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program

        program = self._programs.get(job.program)
        if program is None:
            program = self._programs[job.program] = Program.loads(job.program)
        try:
            if job.config == DEFAULT:
                module = default(program.module, program.target)
            else:
                module = program.schedule(job.config).mod
        except InvalidConfig as reason:
            return Artifact(status=Status.INVALID, error=str(reason))
        if is_gpu(program.target):
            return _for_gpu(module, program.target)
        return _for_cpu(module, program.target, job.linked)


def _for_cpu(module: Any, target: Any, linked: bool) -> Artifact:
    import tvm

    with tvm.transform.PassContext(opt_level=3, config=UNCHECKED):
        library = tvm.compile(module, target=target)
    form = "o" if linked else "ll"
    with TemporaryDirectory() as folder:
        made = Path(folder, f"layer.{form}")
        library.mod.write_to_file(str(made), form)
        if linked:
            link(str(made.with_suffix(".so")), [str(made)], QUICKEST)
            made = made.with_suffix(".so")
        return Artifact(made.read_bytes())


def _for_gpu(module: Any, target: Any) -> Artifact:
    from chameleon_ray.compiler.codegen.cuda_compiler import CompileError
    from chameleon_ray.compiler.codegen.cuda_library import CannotLaunch, compile_kernels

    try:
        library, taken = compile_kernels(module, target)
    except CannotLaunch as reason:
        return Artifact(status=Status.INVALID, error=str(reason))
    except CompileError as reason:
        status = Status.INVALID if TOO_MUCH.search(str(reason)) else Status.BUILD_ERROR
        return Artifact(status=status, error=_first_error(str(reason)))
    return Artifact(library.dumps(), resources=taken.dumps())


def _first_error(report: str) -> str:
    """The first line of a compiler's report that says what is wrong."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0])[:LONGEST]


def artifact_of(outcome: Outcome, config: Config) -> Artifact:
    """What a child's job to compile a configuration came to."""
    default = config == DEFAULT
    if outcome.ending is Ending.OK:
        built: Artifact = outcome.value
        return replace(built, default=default, seconds=outcome.seconds)
    return Artifact(b"", default, FAILURES[outcome.ending], outcome.seconds, outcome.error)


def compiler(gpu: bool | None) -> Compiler:
    """Factory of the builder's child."""
    return Compiler(bool(gpu))


class LocalBuilder:
    """Compiles on this machine, in a warm child that a hang or crash cannot outlive."""

    def __init__(
        self,
        options: Measuring,
        cores: tuple[int, ...] | None = None,
        gpu: bool = False,
        linked: bool = False,
    ) -> None:
        """Takes the cores to compile on, whether it is for a GPU, and if not, whether runners are
        to be given shared libraries or LLVM IR."""
        self.options, self.gpu, self.linked = options, gpu, linked
        self._child = Isolate(
            Setting(
                handler="chameleon_ray.compiler.codegen.builder:compiler",
                argument=gpu,
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
        timeout = options.gpu_build_timeout if self.gpu else options.build_timeout
        if config == DEFAULT:  # it is needed in any case
            timeout = options.default_timeout
        self._child.renew(options.jobs_per_child)
        outcome = self._child.call(Job(task.program, config, self.linked), timeout)
        return artifact_of(outcome, config)

    def close(self) -> None:
        self._child.close()
