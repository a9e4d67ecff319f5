"""What this machine can tune on: nothing in, its devices and what they lack out."""

import ctypes.util
import os
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.compiler.target import device_name
from chameleon_ray.measure.isolate import Ending, Isolate, Setting


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        target: What ``--target`` would be.
        name: Model of the device.
        usable: TVM can compile for it and time on it here.
        missing: What to do about it where it is not; a note where it is.
    """

    target: str
    name: str
    usable: bool
    missing: str = ""


def probe(_: None) -> "Probe":
    """Factory of the probing child."""
    return Probe()


class Probe:
    """What runs in a child, as TVM may crash where a driver is broken."""

    def __call__(self, _: object) -> dict[str, object]:
        from chameleon_ray.compiler.session import block_torch

        block_torch()
        import tvm

        cpu = tvm.target.codegen.llvm_get_system_cpu()
        return {"llvm": tvm.runtime.enabled("llvm"), "cpu": cpu, "cuda": tvm.cuda(0).exist}


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
    found = [Device("llvm", device_name(cores), works, note)]
    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return found + [_gpu(file, bool(seen.get("cuda"))) for file in gpus]


def _gpu(information: Path, seen: bool) -> Device:
    fields = (line.partition(":") for line in information.read_text().splitlines())
    name = {key.strip(): value.strip() for key, _, value in fields}.get("Model", "NVIDIA GPU")
    if not seen:
        runtime = ctypes.util.find_library("cudart")
        lacking = "TVM does not see it" if runtime else "libcudart.so.13 is missing"
        return Device("cuda", name, False, f"{lacking}; timing on CUDA is not supported yet")
    return Device("cuda", name, False, "timing on CUDA is not supported yet")
