"""Tuning for NVIDIA GPUs: kernels by NVRTC or nvcc, timed by CUDA's events."""

import ctypes
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.kind import Device, Environment, TargetKind
from chameleon_ray.compiler.nvidia import completed
from chameleon_ray.compiler.target import fields_of, made
from chameleon_ray.compiler.tvm_process import CUDART, load_cudart, register_intrinsics
from chameleon_ray.limit import Limit
from chameleon_ray.measure import nvml
from chameleon_ray.measure.measurer import Artifact, Runner
from chameleon_ray.options import Measuring, Scheduling

NAME = "cuda"
"""As a target it stands for whatever GPU the runner has."""
DRIVER = "libcuda.so.1"
"""What TVM's CUDA runtime is linked to besides."""
WHEELS = "pip install 'chameleon_ray[cuda]'"
SIGNS = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0"))
"""What is there where a GPU is, whether or not its driver works."""
BUS_ORDER = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
"""Has CUDA number the GPUs as for the runners."""


def demand(text: str) -> None:
    """Sees to it that the architecture, where one is given, is one of them."""
    if text != NAME:
        completed(fields_of(text))


def resolve(text: str, threads: int) -> str:
    """A GPU by its architecture, with what is not said of it; no device is looked at."""
    return str(made(text, completed(fields_of(text))))


def demand_compiler(target: str) -> None:
    """Says what to install where nothing can compile for the architecture."""
    from chameleon_ray.compiler.codegen.cuda_compiler import compiler_for

    compiler_for(json.loads(target)["arch"])


def preload() -> None:
    """Loads the CUDA runtime, if it is there."""
    load_cudart()


def probe() -> dict[str, Any]:
    """The GPUs that TVM sees, what it would need to see more, and what compiles for them."""
    lacking = {CUDART: load_cudart(), DRIVER: _trouble(DRIVER)}
    import tvm

    from chameleon_ray.compiler.codegen.cuda_compiler import summary

    gpus: list[str] = []
    while tvm.cuda(len(gpus)).exist:
        gpus.append(f"sm_{tvm.cuda(len(gpus)).compute_version.replace('.', '')}")
    return {
        "gpus": gpus,
        "lacking": {name: why for name, why in lacking.items() if why},
        "runtime": _runtime_version(),
        "compiler": summary(),
    }


def devices(probed: Mapping[str, Any], error: str) -> list[Device]:
    """Every GPU of the driver, or one line on why there is none and what can be done without."""
    builds = probed.get("compiler", "TVM cannot be used")
    try:
        found = nvml.gpus()
    except nvml.NvmlError as trouble:
        if any(sign.exists() for sign in SIGNS):
            return [Device(NAME, "NVIDIA GPU", False, f"{trouble}; install NVIDIA's driver")]
        return [Device(NAME, "no NVIDIA GPU", False, builds)]
    return [_device(gpu, number, probed) for number, gpu in enumerate(found)]


def _device(gpu: nvml.Gpu, number: int, probed: Mapping[str, Any]) -> Device:
    name = f"{gpu.name}, {gpu.memory_bytes / (1 << 30):.0f} GiB, driver {gpu.driver}"
    target, lacking = f"{NAME}:{gpu.arch}", dict(probed.get("lacking", {}))
    if number < len(probed.get("gpus", ())):
        return Device(target, name, True, f"CUDA runtime {probed['runtime']}; {probed['compiler']}")
    if CUDART in lacking:
        return Device(target, name, False, f"TVM needs {CUDART}, which is missing; {WHEELS}")
    if DRIVER in lacking:
        return Device(target, name, False, f"{lacking[DRIVER]}; install NVIDIA's driver")
    return Device(
        target,
        name,
        False,
        "TVM does not see it: its CUDA runtime needs a driver for CUDA 13 (580 or later), and "
        "CUDA_VISIBLE_DEVICES may hide it",
    )


def _trouble(library: str) -> str:
    """Why a library cannot be loaded; empty where it can."""
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return ""


def _runtime_version() -> str:
    """The version of the CUDA runtime that is loaded; empty where none is."""
    version = ctypes.c_int()
    try:
        ctypes.CDLL(CUDART).cudaRuntimeGetVersion(ctypes.byref(version))
    except OSError:
        return ""
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def device_name(cores: int) -> str:
    """Nothing: which GPU it is, only a runner knows."""
    return ""


def gpus() -> int:
    return nvml.count()


def place(cores: tuple[int, ...]) -> str:
    """The GPU that this process sees."""
    return f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES', '')}"


def rules(layout: str, rewriting: Scheduling | None) -> dict[str, Any]:
    """Winograd's convolutions, which take workspaces, where memory is not to be saved."""
    from chameleon_ray.compiler.passes import winograd_cuda

    if layout != "NCHW" or rewriting is not None:
        return {}
    return {"relax.nn.conv2d": winograd_cuda.conv2d}


def templates() -> Sequence[Any]:
    """Those of the table; see ``spaces.templates``."""
    from chameleon_ray.compiler.spaces.templates import TEMPLATES

    return TEMPLATES[NAME]


def generator(module: Any, target: Any) -> Any:
    """MetaSchedule's rules for CUDA, with tensor cores where they are of use."""
    from chameleon_ray.compiler.spaces.rules import cuda_generator

    return cuda_generator(module, target)


def limits(module: Any, sketches: Sequence[Any], target: Any) -> tuple[Limit, ...]:
    """Threads, shared memory and sums that a GPU has room for."""
    from chameleon_ray.compiler.spaces.gpu_limits import limits_of

    return limits_of(module, tuple(sketches), target)


def warm() -> None:
    """Registers what TVM's rules name, and sees to it that there is a compiler."""
    register_intrinsics("cuda")
    from tvm.s_tir import dlight  # noqa: F401

    from chameleon_ray.compiler.codegen import (
        cuda_compiler,
        cuda_library,  # noqa: F401
    )

    cuda_compiler.demand()


def default(module: Any, target: Any) -> Any:
    """DLight's schedules, as loops must be bound to threads."""
    from chameleon_ray.compiler.codegen import default_schedule

    return default_schedule.default(module, target)


def compile_layer(module: Any, target: Any, linked: bool) -> Artifact:
    """A library that holds the binary, and what that takes of the GPU."""
    from chameleon_ray.compiler.codegen import cuda_library

    return cuda_library.compile_layer(module, target)


def compile_model(module: Any, target: Any) -> Any:
    """Compiled by what builders compile with, and scheduled by DLight where it is not tuned."""
    import tvm

    from chameleon_ray.compiler.codegen.cuda_library import compile_with

    compile_with(str(target.attrs["arch"]))
    return tvm.compile(default(module, target), target)


def build_timeout(options: Measuring) -> float:
    return options.gpu_build_timeout


def runner(options: Measuring, cores: tuple[int, ...], device: str) -> Runner:
    """A runner of the GPU that its process sees first."""
    from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner

    return CudaRunner(options, cores)


def environment(threads: int) -> Environment:
    """As on a CPU, where parts of a model may run."""
    from chameleon_ray.compiler.runtime.cpu_runner import timing_environment

    return (*timing_environment(threads), BUS_ORDER)


def device() -> Any:
    import tvm

    return tvm.cuda()


CUDA = TargetKind(
    name=NAME,
    architectures=True,
    demand=demand,
    resolve=resolve,
    demand_compiler=demand_compiler,
    preload=preload,
    probe=probe,
    devices=devices,
    device_name=device_name,
    gpus=gpus,
    place=place,
    layout="NCHW",
    rules=rules,
    templates=templates,
    generator=generator,
    limits=limits,
    warm=warm,
    default=default,
    compile_layer=compile_layer,
    compile_model=compile_model,
    build_timeout=build_timeout,
    runner=runner,
    environment=environment,
    device=device,
)
