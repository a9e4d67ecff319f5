"""What a machine can tune on: nothing in, its devices and what they lack out."""

import ctypes
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.target import device_name
from chameleon_ray.compiler.tvm_process import CUDART, block_torch, load_cudart
from chameleon_ray.measure import nvml
from chameleon_ray.measure.isolate import Ending, Isolate, Setting

DRIVER = "libcuda.so.1"
"""What TVM's CUDA runtime is linked to besides."""
WHEELS = "pip install 'chameleon_ray[cuda]'"
SIGNS = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0"))
"""What is there where a GPU is, whether or not its driver works."""


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        target: What ``--target`` would be.
        name: Model of the device.
        usable: TVM can compile for it and time on it here.
        missing: What to do about it where it is not; a note where it is.
        node: The machine it is in.
    """

    target: str
    name: str
    usable: bool
    missing: str = ""
    node: str = ""


def probe(_: None) -> "Probe":
    """Factory of the probing child."""
    return Probe()


class Probe:
    """What runs in a child, as TVM may crash where a driver is broken."""

    def __call__(self, _: object) -> dict[str, Any]:
        block_torch()
        lacking = {CUDART: load_cudart(), DRIVER: _trouble(DRIVER)}
        import tvm

        from chameleon_ray.compiler.codegen.cuda_compiler import summary

        gpus: list[str] = []
        while tvm.cuda(len(gpus)).exist:
            gpus.append(f"sm_{tvm.cuda(len(gpus)).compute_version.replace('.', '')}")
        return {
            "llvm": tvm.runtime.enabled("llvm"),
            "cpu": tvm.target.codegen.llvm_get_system_cpu(),
            "gpus": gpus,
            "lacking": {name: why for name, why in lacking.items() if why},
            "runtime": _runtime_version(),
            "compiler": summary(),
        }


def devices() -> list[Device]:
    """The CPU and any NVIDIA GPU of this machine."""
    child = Isolate(Setting("chameleon_ray.compiler.devices:probe"))
    try:
        outcome = child.call(None, 60)
    finally:
        child.close()
    seen = outcome.value if outcome.ending is Ending.OK else {}
    cores = len(os.sched_getaffinity(0))
    trouble = f"TVM cannot be used: {outcome.error}" if not seen else "TVM was built without LLVM"
    works = bool(seen.get("llvm"))
    note = f"LLVM's name of it is {seen.get('cpu')}" if works else trouble
    found = [Device("llvm", device_name(cores), works, note), *_gpus(seen)]
    return [replace(device, node=platform.node()) for device in found]


def _gpus(seen: dict[str, Any]) -> list[Device]:
    """Every GPU of the driver, or one line on why there is none and what can be done without."""
    builds = seen.get("compiler", "TVM cannot be used")
    try:
        gpus = nvml.gpus()
    except nvml.NvmlError as error:
        if any(sign.exists() for sign in SIGNS):
            return [Device("cuda", "NVIDIA GPU", False, f"{error}; install NVIDIA's driver")]
        return [Device("cuda", "no NVIDIA GPU", False, builds)]
    return [_gpu(gpu, number, seen) for number, gpu in enumerate(gpus)]


def _gpu(gpu: nvml.Gpu, number: int, seen: dict[str, Any]) -> Device:
    name = f"{gpu.name}, {gpu.memory_bytes / (1 << 30):.0f} GiB, driver {gpu.driver}"
    target, lacking = f"cuda:{gpu.arch}", dict(seen.get("lacking", {}))
    if number < len(seen.get("gpus", ())):
        return Device(target, name, True, f"CUDA runtime {seen['runtime']}; {seen['compiler']}")
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
    """Of the CUDA runtime that is loaded; empty where none is."""
    version = ctypes.c_int()
    try:
        ctypes.CDLL(CUDART).cudaRuntimeGetVersion(ctypes.byref(version))
    except OSError:
        return ""
    return f"{version.value // 1000}.{version.value % 1000 // 10}"
