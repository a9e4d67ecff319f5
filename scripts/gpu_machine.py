"""The part of ``gpu_check.py`` that says what the machine has; it needs neither TVM nor torch."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_parts import Given

PACKAGES = (
    *("apache-tvm", "apache-tvm-ffi", "torch", "triton", "ray", "xgboost", "xgboost-cpu", "numpy"),
    *("cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cuda-crt"),
    *("nvidia-cuda-cccl", "nvidia-cudnn-cu13", "nvidia-cublas", "transformers", "torchvision"),
)
LIBRARIES = "/usr/local/nvidia/lib64/libcuda.so*", "/usr/lib/x86_64-linux-gnu/libcuda.so*"


def machine(given: Given) -> None:
    """Enters processor, system, driver, packages, and where CUDA's headers and libraries are."""
    report = given.report
    report.entry(("system",), system)
    report.entry(("packages",), lambda: {name: installed(name) for name in PACKAGES})
    report.entry(("headers",), headers)
    report.entry(("driver",), lambda: said("nvidia-smi", "-q", "-d", "CLOCK,POWER,MEMORY"))
    report.entry(("gpus",), lambda: said("nvidia-smi", "-L"))
    if find_spec("tvm") is not None:
        report.entry(("devices",), listed)


def system() -> dict[str, Any]:
    """Processor, memory, Python, and the tools that kernels and libraries are made with."""
    tools = ("nvcc", "g++", "gcc", "cc", "xz", "ncu", "cuobjdump")
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "tools": {name: shutil.which(name) or "" for name in tools},
        "libcuda": [str(path) for pattern in LIBRARIES for path in matching(pattern)],
    }


def matching(pattern: str) -> list[Path]:
    path = Path(pattern)
    return sorted(path.parent.glob(path.name))


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def headers() -> dict[str, list[str]]:
    """Which of CUDA's headers lie in which place."""
    from cuda_toolkit import cuda_roots

    wanted = ("cuda_fp16.h", "mma.h", "crt/mma.h", "cccl", "cuda_runtime.h")
    return {
        str(root): [name for name in wanted if (root / "include" / name).exists()]
        for root in cuda_roots()
    }


def said(*command: str) -> dict[str, Any]:
    """The output of a command, line by line; what is missing where there is no such command."""
    if shutil.which(command[0]) is None:
        return {"missing": f"there is no {command[0]}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=15)
    return {"status": done.returncode, "lines": (done.stdout + done.stderr).splitlines()[:150]}


def listed() -> list[dict[str, Any]]:
    """What ``chameleon devices`` lists."""
    from dataclasses import asdict

    from chameleon_ray.compiler.kinds.devices import devices

    return [asdict(device) for device in devices()]
