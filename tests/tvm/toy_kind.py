"""A third kind of target, made of this file alone: C source that any C compiler takes.

Whole models go by way of LLVM. There is a template for matrix products, and no sketches.
"""

import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from chameleon_ray.compiler.kind import Device, TargetKind
from chameleon_ray.compiler.runtime.cpu_runner import patience, timing_environment
from chameleon_ray.compiler.runtime.jobs import ChildRunner, Contest, Race, Raced
from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs
from chameleon_ray.compiler.runtime.layer_precision import layer_precision
from chameleon_ray.compiler.runtime.tolerance import differences
from chameleon_ray.compiler.target import fields_of, made
from chameleon_ray.measure.isolate import Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Runner, Timing
from chameleon_ray.options import Confirming, Measuring, Scheduling
from chameleon_ray.task import Constants, Task

NAME = "c"
DEVICE = "whatever runs C"
CONDITIONS = '{"timed by": "a toy"}'
COMPILERS = ("cc", "gcc", "clang")


def compiler() -> str | None:
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def resolve(text: str, threads: int) -> str:
    return str(made(text, fields_of(text)))


def probe() -> dict[str, Any]:
    return {"compiler": compiler()}


def devices(probed: Mapping[str, Any], error: str) -> list[Device]:
    return [Device(NAME, DEVICE, bool(probed.get("compiler")), error)]


def device_name(cores: int, instances: int = 1) -> str:
    return DEVICE


def rules(layout: str, rewriting: Scheduling | None) -> dict[str, Any]:
    return {}


def tiled(module: Any, target: Any) -> Any:
    """Fits matrix products with a template that tiles their columns, outermost and innermost."""
    from tvm.s_tir import Schedule

    from chameleon_ray.compiler.spaces.sketch import SEED
    from chameleon_ray.compiler.spaces.templates.reduction import find_reduction
    from chameleon_ray.compiler.spaces.templates.template import Fitted

    layer = find_reduction(module)
    if layer is None or len(layer.outputs) != 2:
        return None
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    rows, columns, *summed = schedule.get_loops(schedule.get_sblock(layer.block))
    outer, inner = schedule.split(columns, schedule.sample_perfect_tile(columns, 2, 64))
    schedule.reorder(outer, rows, *summed, inner)
    return Fitted(schedule.trace)


def templates() -> tuple[Any, ...]:
    return (tiled,)


def generator(module: Any, target: Any) -> Any:
    from tvm.s_tir.meta_schedule.space_generator import PostOrderApply

    return PostOrderApply(sch_rules=[], postprocs=[], mutator_probs={})


def warm() -> None:
    import tvm  # noqa: F401


def default(module: Any, target: Any) -> Any:
    return module


def compile_layer(module: Any, target: Any, linked: bool) -> Artifact:
    """Compiles a layer to C source, which the runner compiles further."""
    import tvm

    return Artifact(tvm.compile(module, target=target).mod.inspect_source().encode())


def compile_model(module: Any, target: Any) -> Any:
    import tvm

    return tvm.compile(module, tvm.target.Target("llvm"))


def build_timeout(options: Measuring) -> float:
    return options.build_timeout


def environment(threads: int) -> tuple[tuple[str, str], ...]:
    return timing_environment(threads)


def device() -> Any:
    import tvm

    return tvm.cpu()


class ToyTimer:
    """Times kernels inside the runner's child; see ``jobs.Timer``."""

    def __init__(self) -> None:
        import tvm

        self._device, self._inputs = tvm.cpu(), LayerInputs()

    def __call__(self, job: Any) -> Any:
        return job.run(self)

    def prepare(self, program: bytes, constants: Constants) -> None:
        self.arguments(program)

    def arguments(self, program: bytes) -> list[Any]:
        return self._inputs.tensors(program, self._device)

    def race(self, job: Race) -> Raced:
        kernel, buffers = load(job.code)["main"], self.arguments(job.program)
        latencies = tuple(seconds(kernel, buffers) for _ in range(job.options.repeats))
        return Raced(latencies, sum(latencies), CONDITIONS)

    def contest(self, job: Contest) -> list[Finalist]:
        found: list[Finalist] = []
        reference: list[np.ndarray] = []
        for code in job.codes:
            kernel, buffers = load(code)["main"], self.arguments(job.program)
            latencies = tuple(seconds(kernel, buffers) for _ in range(job.repeats))
            outputs = [buffer.numpy() for buffer in buffers]
            reference = reference or outputs
            errors = differences(outputs, reference, layer_precision(job.program))
            found.append(Finalist(latencies, *errors))
        return found


def seconds(kernel: Any, buffers: list[Any]) -> float:
    began = time.perf_counter()
    kernel(*buffers)
    return time.perf_counter() - began


def load(code: bytes) -> Any:
    """Compiles C source and loads the library."""
    import tvm
    import tvm_ffi

    roots = [Path(package.__file__ or "").parent for package in (tvm, tvm_ffi)]
    headers = [f"-I{root / 'include'}" for root in roots]
    with TemporaryDirectory() as folder:
        source, library = Path(folder, "layer.c"), Path(folder, "layer.so")
        source.write_bytes(code)
        command = [str(compiler()), "-O2", "-w", "-shared", "-fPIC", *headers]
        subprocess.run([*command, str(source), "-o", str(library)], check=True)
        return tvm.runtime.load_module(str(library))


def timer(_: None) -> ToyTimer:
    """Makes the handler in the runner's child."""
    return ToyTimer()


class ToyRunner:
    """Times on cores of this machine; see ``measure.measurer.Runner``."""

    def __init__(self, options: Measuring, cores: tuple[int, ...], device: str) -> None:
        self._device = device
        setting = Setting("tests.tvm.toy_kind:timer", cores=cores, environment=environment(1))
        self._child = ChildRunner(setting, options, patience)

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        return replace(self._child.run(task, artifact, best), device=self._device)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        return self._child.contest(task, artifacts, options)

    def close(self) -> None:
        self._child.close()


def runner(options: Measuring, cores: tuple[int, ...], device: str) -> Runner:
    return ToyRunner(options, cores, device)


TOY = TargetKind(
    name=NAME,
    resolve=resolve,
    probe=probe,
    devices=devices,
    device_name=device_name,
    layout="NCHW",
    rules=rules,
    templates=templates,
    generator=generator,
    warm=warm,
    default=default,
    compile_layer=compile_layer,
    compile_model=compile_model,
    build_timeout=build_timeout,
    runner=runner,
    environment=environment,
    device=device,
)
