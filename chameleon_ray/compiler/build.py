"""Compiling: a task's program and a configuration in, LLVM IR or the reason why not out.

On a CPU target a builder optimises and hands over LLVM IR; the runner's core, idle at that moment,
generates the machine code as it loads it. That needs no linker, and halves what one core compiles.
"""

from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

from chameleon_ray.compiler.session import block_torch, register_x86_intrinsics
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task

UNCHECKED = {"tirx.disable_assert": True}
"""The runner makes the arguments itself: checks of their shapes would be a third of the machine
code to generate."""
SINGLE_THREADED = (("OMP_NUM_THREADS", "1"), ("TVM_NUM_THREADS", "1"))


@dataclass(frozen=True)
class Job:
    """One configuration of one program, to compile."""

    program: bytes
    config: Config


class Compiler:
    """What runs inside the builder's child; keeps the programs it has parsed."""

    def __init__(self) -> None:
        block_torch()
        import tvm.s_tir.meta_schedule  # noqa: F401  warms the zygote

        register_x86_intrinsics()
        self._programs: dict[bytes, Any] = {}

    def __call__(self, job: Job) -> tuple[Status, bytes, str]:
        import tvm

        from chameleon_ray.compiler.sketch import InvalidConfig, Program

        program = self._programs.get(job.program)
        if program is None:
            program = self._programs[job.program] = Program.loads(job.program)
        try:
            default = job.config == DEFAULT
            module = program.module if default else program.schedule(job.config).mod
        except InvalidConfig as reason:
            return Status.INVALID, b"", str(reason)
        with tvm.transform.PassContext(opt_level=3, config=UNCHECKED):
            library = tvm.compile(module, target=program.target)
        with NamedTemporaryFile(suffix=".ll") as file:
            library.mod.write_to_file(file.name, "ll")
            return Status.OK, file.read(), ""


def compiler(_: None) -> Compiler:
    """Factory of the builder's child."""
    return Compiler()


class LocalBuilder:
    """Compiles on this machine, in a warm child that a hang or crash cannot outlive."""

    def __init__(self, options: Measuring, cores: tuple[int, ...] | None = None) -> None:
        self.options = options
        self._child = Isolate(
            Setting(
                handler="chameleon_ray.compiler.build:compiler",
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
        slow = config == DEFAULT  # it is needed in any case
        timeout = self.options.default_timeout if slow else self.options.build_timeout
        self._child.renew(self.options.jobs_per_child)
        outcome = self._child.call(Job(task.program, config), timeout)
        if outcome.ending is Ending.OK:
            status, code, error = outcome.value
            return Artifact(code, config == DEFAULT, status, outcome.seconds, error)
        status = {
            Ending.TIMEOUT: Status.BUILD_TIMEOUT,
            Ending.ERROR: Status.BUILD_ERROR,
            Ending.CRASH: Status.CRASH,
        }[outcome.ending]
        return Artifact(b"", config == DEFAULT, status, outcome.seconds, outcome.error)

    def close(self) -> None:
        self._child.close()
