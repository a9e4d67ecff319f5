"""Versions of a GPU's driver and of NVIDIA's libraries, which latencies on it depend on.

The ranks of a library's algorithms are of one version only.
"""

import os
import subprocess
import sys
from functools import cache

from chameleon_ray.compiler.tvm_process import nvidia_wheels
from chameleon_ray.compiler.vendor_path import PATH
from chameleon_ray.measure import nvml
from chameleon_ray.vendor import FILES

DRIVER = "driver"
"""Name of the driver among the versions."""
CALLS = {"cuBLASLt": "cublasLtGetVersion", "cuDNN": "cudnnGetVersion"}
"""Function of each library that returns its version as one number."""
ASK = """
import ctypes, os, sys
file, call, folders = sys.argv[1:]
for path in (file, *(os.path.join(folder, file) for folder in folders.split(":") if folder)):
    try:
        ask = getattr(ctypes.CDLL(path), call)
    except (OSError, AttributeError):
        continue
    ask.restype = ctypes.c_size_t
    print(ask())
    break
"""
SECONDS = 30.0
"""Most seconds that a library may take to say its version."""


def gpu_versions(target: str) -> dict[str, str]:
    """Returns the versions of the driver and of the libraries that this machine has, by name.

    Nothing is returned for a target that is no GPU's.

    Args:
        target: TVM target, as JSON.
    """
    return driver_version() | library_versions() if "cuda" in target else {}


def driver_version() -> dict[str, str]:
    """Returns the driver's version by its name; nothing where there is none."""
    found = driver()
    return {DRIVER: found} if found else {}


def driver() -> str:
    """Returns the driver's version; empty where it does not tell."""
    try:
        return nvml.driver()
    except nvml.NvmlError:
        return ""


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries, by name, without those that are missing.

    Each is opened in a process that ends at once, and looked for where the glue looks, on the
    loader's path first.
    """
    roots = [folder for root in nvidia_wheels() for folder in (root, root.with_name("cudnn"))]
    folders = os.environ.get(PATH, ":".join(str(root / "lib") for root in roots))
    found = {name: _version(name, folders) for name in FILES}
    return {name: version for name, version in found.items() if version}


@cache
def _version(library: str, folders: str) -> str:
    """Asks a library for its version, such as ``9.28.0``; empty where it does not say."""
    command = [sys.executable, "-S", "-c", ASK, FILES[library], CALLS[library], folders]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return _dotted(int(done.stdout)) if done.stdout.strip().isdecimal() else ""


def _dotted(number: int) -> str:
    """Puts a version's number, ``major * 10000 + minor * 100 + patch``, into words."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
