"""Tuning for NVIDIA GPUs: kernels by NVRTC or nvcc, timed by CUDA's events."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.kind import Device, Environment, Graphs, TargetKind
from chameleon_ray.compiler.nvidia import BUS_ORDER, capability, completed
from chameleon_ray.compiler.target import TargetError, fields_of, made
from chameleon_ray.compiler.tvm_process import cuda_passes, load_cudart, register_intrinsics
from chameleon_ray.compiler.vendor_path import look_in_wheels
from chameleon_ray.limit import Limit
from chameleon_ray.measure import nvml
from chameleon_ray.measure.measurer import Artifact, Runner
from chameleon_ray.measure.precision import TF32
from chameleon_ray.options import Measuring, Scheduling
from chameleon_ray.space import Config

NAME = "cuda"
"""Name of the kind; as a target it stands for whatever GPU the runner has."""
AMPERE = 80
"""First compute capability with bfloat16 and TF32."""
GRAPHS = Graphs({"relax.backend.use_cuda_graph": True}, "vm.builtin.cuda_graph.run_or_capture")
"""CUDA graphs: of all kernels of known shapes that read no input and write no output."""
SIGNS = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0"))
"""Files that exist where there is a GPU, whether or not its driver works."""


def demand(text: str) -> None:
    """Demands that a target is plain ``cuda`` or has a known architecture.

    Raises:
        TargetError: The architecture is missing from a longer target, or not known.
    """
    if text != NAME:
        completed(fields_of(text))


def resolve(text: str, threads: int) -> str:
    """Completes a GPU's target by its architecture; no device is looked at.

    Raises:
        TargetError: The architecture is missing or not known, or TVM does not accept the target.
    """
    return str(made(text, completed(fields_of(text))))


def demand_compiler(target: str) -> None:
    """Demands that something can compile for a target's architecture.

    Raises:
        TargetError: Nothing can; the text says what to install.
    """
    from chameleon_ray.compiler.codegen.cuda_compiler import compiler_for

    compiler_for(json.loads(target)["arch"])


def demand_precision(target: str, precision: str) -> None:
    """Demands that the GPU of a target multiplies numbers of a precision.

    Raises:
        TargetError: It does not; the text says which precisions it has.
    """
    arch = str(json.loads(target)["arch"])
    if precision in (TF32, "bfloat16") and (capability(arch) or 0) < AMPERE:
        raise TargetError(
            f"A GPU of the architecture {arch} has no {precision}, which came with sm_{AMPERE}; "
            "give --precision float16, or float32."
        )


def preload() -> None:
    """Loads the CUDA runtime, if it is there, and says where other libraries may be."""
    load_cudart()
    look_in_wheels()
    # what loads models knows the error of a missing library by its name
    from chameleon_ray.compiler.codegen import vendor_glue  # noqa: F401


def probe() -> dict[str, Any]:
    """Returns the GPUs that TVM sees, why it sees none, and what compiles for GPUs."""
    load_cudart()
    import tvm

    from chameleon_ray.compiler.codegen.cuda_compiler import summary
    from chameleon_ray.compiler.runtime.cuda_driver import runtime_version, trouble

    why, gpus = trouble(), list[str]()
    while tvm.cuda(len(gpus)).exist:
        gpus.append(f"sm_{tvm.cuda(len(gpus)).compute_version.replace('.', '')}")
    return {"gpus": gpus, "trouble": why, "runtime": runtime_version(), "compiler": summary()}


def devices(probed: Mapping[str, Any], error: str) -> list[Device]:
    """Returns every GPU of the driver; without one, an entry that says why and what can be done."""
    builds = probed.get("compiler", "TVM cannot be used")
    try:
        found, sick = nvml.gpus(), nvml.unusable()
        shown = [gpu.uuid for gpu in nvml.shown()]
    except nvml.NvmlError as trouble:
        if any(sign.exists() for sign in SIGNS):
            why = probed.get("trouble") or f"{trouble}; install NVIDIA's driver"
            return [Device(NAME, "NVIDIA GPU", False, why)]
        return [Device(NAME, "no NVIDIA GPU", False, builds)]
    gone = [Device(NAME, f"NVIDIA GPU {number}", False, str(why)) for number, why in sick.items()]
    return [*(_device(gpu, shown, probed, error) for gpu in found), *gone]


def _device(gpu: nvml.Gpu, shown: Sequence[str], probed: Mapping[str, Any], error: str) -> Device:
    """Returns the entry of a GPU; ``shown`` has the UUIDs of those that CUDA should see."""
    memory = f"{gpu.memory_bytes / (1 << 30):.0f} GiB, " if gpu.memory_bytes else ""
    name = f"{gpu.name}, {memory}driver {gpu.driver}"
    target, seen = f"{NAME}:{gpu.arch}", probed.get("gpus", ())
    if gpu.uuid in shown[: len(seen)]:
        return Device(target, name, True, f"CUDA runtime {probed['runtime']}; {probed['compiler']}")
    if not seen and (probed.get("trouble") or error):
        return Device(target, name, False, probed.get("trouble") or error)
    return Device(target, name, False, "CUDA_VISIBLE_DEVICES hides it, or TVM does not see it")


def device_name(cores: int, instances: int = 1) -> str:
    """Returns an empty name, as only a runner knows its GPU."""
    return ""


def gpus() -> int:
    return nvml.count()


def place(cores: tuple[int, ...]) -> str:
    """Names the GPU that this process sees."""
    return f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES', '')}"


def rules(layout: str, rewriting: Scheduling | None) -> dict[str, Any]:
    """Returns no rules: what no search has reached is then as fast as without tuning."""
    return {}


def alternatives(module: Any, rules: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the rules with that of Winograd's convolutions, where any fits."""
    from chameleon_ray.compiler.passes import winograd_cuda
    from chameleon_ray.compiler.relax import bindings_of, operator

    calls = (b.value for b in bindings_of(module) if operator(b.value) == "relax.nn.conv2d")
    fit = any(map(winograd_cuda.is_suitable, calls))
    return [{**rules, "relax.nn.conv2d": winograd_cuda.conv2d}] if fit else []


def templates() -> Sequence[Any]:
    """Returns the templates for CUDA; see ``spaces.templates``."""
    from chameleon_ray.compiler.spaces.templates import TEMPLATES

    return TEMPLATES[NAME]


def generator(module: Any, target: Any) -> Any:
    """Returns the generator of MetaSchedule's sketches, with tensor cores where they are of use."""
    from chameleon_ray.compiler.spaces.rules import cuda_generator

    return cuda_generator(module, target)


def limits(module: Any, sketches: Sequence[Any], target: Any) -> tuple[Limit, ...]:
    """Returns the limits of threads, shared memory and sums that a GPU has room for."""
    from chameleon_ray.compiler.spaces.gpu_limits import limits_of

    return limits_of(module, tuple(sketches), target)


def vendor(module: Any) -> tuple[str, ...]:
    """Returns NVIDIA's libraries that have a function for a layer."""
    from chameleon_ray.compiler.spaces.vendor.calls import calls

    return tuple(calls(module))


def vendor_call(module: Any, config: Config) -> Any:
    """Returns a layer as the call of a library."""
    from chameleon_ray.compiler.codegen.vendor_call import called

    return called(module, config)


def warm() -> None:
    """Registers the intrinsics that TVM's rules name, and demands that there is a compiler."""
    register_intrinsics("cuda")
    from chameleon_ray.compiler.tensor_cores import register_tensor_cores

    register_tensor_cores()
    from tvm.s_tir import dlight  # noqa: F401

    from chameleon_ray.compiler.codegen import (
        cuda_compiler,
        cuda_library,  # noqa: F401
    )

    cuda_compiler.demand()


def default(module: Any, target: Any) -> Any:
    """Schedules a layer or model by DLight, as loops must be bound to threads."""
    from chameleon_ray.compiler.codegen import default_schedule

    return default_schedule.default(module, target)


def compile_layer(module: Any, target: Any, linked: bool) -> Artifact:
    """Compiles a layer to a library that holds its binary; notes the resources that this takes."""
    from chameleon_ray.compiler.codegen import cuda_library, vendor_call

    if vendor_call.is_called(module):
        return vendor_call.compile_call(module, target)
    return cuda_library.compile_layer(module, target)


def compile_model(module: Any, target: Any) -> Any:
    """Compiles a model with the builders' compiler; DLight schedules what is not tuned."""
    from chameleon_ray.compiler.codegen import cuda_library
    from chameleon_ray.compiler.codegen.cuda_runtime import demand_runtime
    from chameleon_ray.compiler.codegen.workspaces import owned

    demand_runtime()
    with cuda_passes():
        return cuda_library.compile_model(owned(default(module, target)), target)


def build_timeout(options: Measuring) -> float:
    return options.gpu_build_timeout


def runner(options: Measuring, cores: tuple[int, ...], device: str) -> Runner:
    """Makes a runner of the GPU that its process sees first."""
    from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner

    return CudaRunner(options, cores)


def environment(threads: int) -> Environment:
    """Returns the environment for a CPU, where parts of a model may run, and the GPUs' order."""
    from chameleon_ray.compiler.runtime.cpu_runner import timing_environment

    return (*timing_environment(threads), BUS_ORDER)


def device() -> Any:
    """Returns the first GPU; from now on a model that would have to be compiled is an error."""
    import tvm

    from chameleon_ray.compiler.codegen.cuda_library import forbid_compiling

    forbid_compiling()
    return tvm.cuda()


CUDA = TargetKind(
    name=NAME,
    architectures=True,
    demand=demand,
    resolve=resolve,
    demand_compiler=demand_compiler,
    demand_precision=demand_precision,
    preload=preload,
    probe=probe,
    devices=devices,
    device_name=device_name,
    gpus=gpus,
    place=place,
    layout="NCHW",
    mixed=True,
    rules=rules,
    alternatives=alternatives,
    templates=templates,
    generator=generator,
    limits=limits,
    vendor=vendor,
    vendor_call=vendor_call,
    warm=warm,
    default=default,
    compile_layer=compile_layer,
    compile_model=compile_model,
    graphs=GRAPHS,
    build_timeout=build_timeout,
    runner=runner,
    environment=environment,
    device=device,
)
