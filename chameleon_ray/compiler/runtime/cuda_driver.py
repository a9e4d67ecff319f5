"""Says why CUDA sees no GPU in a process, in words that also say what to do."""

import ctypes
import os
from pathlib import Path

from chameleon_ray.compiler.gpu_versions import driver
from chameleon_ray.compiler.runtime.cudart import CudaError, Cudart
from chameleon_ray.compiler.tvm_process import CUDART, DRIVER, load_cudart, load_nvidia
from chameleon_ray.measure import nvml

NEEDED = 580
"""Oldest driver for CUDA 13, by the number before the first dot."""
TOO_OLD = 35
"""CUDA's error for a driver that does not know the runtime's version, or is not there."""
BUSY = 46
"""CUDA's error for a GPU that another process has to itself, or that is lost."""
MEANINGS = {
    2: "the GPU's memory is full; end what else uses the GPU",
    BUSY: "the GPU is lost, or in use where one process may use it at a time; see nvidia-smi",
}
"""What CUDA's errors mean, where that says what to do."""
CERTAIN = {
    802: "the system is not ready yet; wait for, or start, NVIDIA's fabric manager",
    803: "the driver and its library have different versions; restart the machine",
    804: "this GPU does not take newer CUDA on an older driver; install driver 580 or later",
}
"""The same for errors that have nothing to do with the files through which GPUs are used."""
FILES = Path("/dev")
"""Folder of the files through which a process uses GPUs."""
NEEDED_FILES = ("nvidiactl", "nvidia-uvm", "nvidia[0-9]*")
"""Patterns of those files' names; one file of each has to be open to a process."""


def trouble() -> str:
    """Returns why this process can use no GPU; empty where it can.

    This is a process's first use of CUDA: it must not fork afterwards.
    """
    missing = load_nvidia(DRIVER)
    if missing:
        return f"{missing}; install NVIDIA's driver, {NEEDED} or later"
    missing = load_cudart()
    if missing:
        return f"{missing}; pip install 'chameleon_ray[cuda]'"
    try:
        if Cudart().count():
            return divided()
    except CudaError as error:
        return reason(error)
    return hidden()


def reason(error: CudaError, files: Path = FILES) -> str:
    """Returns what is behind CUDA's first error, and what to do."""
    if error.status == TOO_OLD:
        return (
            f"NVIDIA's driver {driver()} is too old: TVM needs a driver for CUDA 13 "
            f"({NEEDED} or later); install one"
        )
    if error.status in CERTAIN:
        return f"{CERTAIN[error.status]} ({error})"
    closed = forbidden(files)
    if closed:
        return (
            f"this user may not open {closed}; join the group that owns it, or start the container "
            "with its GPUs"
        )
    meaning = MEANINGS.get(error.status)
    return f"{meaning} ({error})" if meaning else hidden() or f"{error}; see nvidia-smi"


def divided() -> str:
    """Returns that the first visible GPU is a part of one, if it is; CUDA takes it for a GPU."""
    try:
        nvml.visible()
    except nvml.Divided as error:
        return str(error)
    except nvml.NvmlError:  # CUDA has the last word
        return ""
    return ""


def hidden() -> str:
    """Returns why no GPU is visible, if the driver or ``CUDA_VISIBLE_DEVICES`` says so."""
    try:
        nvml.visible()
    except nvml.NvmlError as error:
        return str(error)
    return ""


def forbidden(files: Path) -> str:
    """Returns a file that this process may not open and cannot use a GPU without; empty if none.

    A scheduler of jobs closes the files of other jobs' GPUs, which is no trouble.
    """
    for pattern in NEEDED_FILES:
        found = sorted(files.glob(pattern))
        if found and all(map(_closed, found)):
            return str(found[0])
    return ""


def _closed(file: Path) -> bool:
    try:
        os.close(os.open(file, os.O_RDWR))
    except PermissionError:
        return True
    except OSError:  # CUDA's own error tells more
        return False
    return False


def runtime_version() -> str:
    """Returns the version of CUDA's runtime, such as ``13.0``; empty where it cannot be loaded."""
    version = ctypes.c_int()
    try:
        ctypes.CDLL(CUDART).cudaRuntimeGetVersion(ctypes.byref(version))
    except OSError:
        return ""
    return f"{version.value // 1000}.{version.value % 1000 // 10}"
