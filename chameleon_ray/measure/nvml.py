"""NVIDIA's management library (NVML): which GPUs there are, and their clocks and temperature.

It is called through ctypes, as the library comes with the driver and nothing else may be installed.
It is only ever read from: clocks and limits stay as they are.
"""

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

LIBRARY = "libnvidia-ml.so.1"
TEXT = 96
"""Bytes that the library's longest strings need."""
SM_CLOCK, MEMORY_CLOCK = 1, 2
GPU_SENSOR = 0
IDLE = 1
"""Bit of NVML's throttle reasons for an idle GPU, which is not really throttled."""


class NvmlError(Exception):
    """The driver cannot be asked, for a reason given in one sentence."""


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine.

    Attributes:
        name: Name of its model.
        uuid: Identifier of the GPU, which ``CUDA_VISIBLE_DEVICES`` takes, too.
        arch: Architecture as targets name it, such as ``sm_90``.
        memory_bytes: Size of its memory.
        driver: The driver's version.
    """

    name: str
    uuid: str
    arch: str
    memory_bytes: int
    driver: str


@dataclass(frozen=True)
class Condition:
    """Clocks and temperature of a GPU at one moment.

    Attributes:
        sm_mhz: Clock of the multiprocessors.
        memory_mhz: Clock of the memory.
        celsius: Temperature.
        throttled: NVML's bits of why the clocks are low, idleness aside; 0 where they are not.
    """

    sm_mhz: int
    memory_mhz: int
    celsius: int
    throttled: int


def gpus(library: str = LIBRARY) -> list[Gpu]:
    """Returns all GPUs, in NVML's order, which is that of the bus.

    Raises:
        NvmlError: There is no driver, or it does not answer.
    """
    nvml, count = _opened(library), ctypes.c_uint()
    _do(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
    return [_gpu(nvml, number) for number in range(count.value)]


def named(ids: Sequence[str] | None, library: str = LIBRARY) -> list[Gpu]:
    """Returns the GPUs of some numbers on the bus or UUIDs; all GPUs where None.

    As CUDA does with ``CUDA_VISIBLE_DEVICES``, it stops at the first one that is not there.

    Raises:
        NvmlError: There is no driver, or it does not answer.
    """
    found = gpus(library)
    if ids is None:
        return found
    meant = [[gpu for n, gpu in enumerate(found) if _means(one.strip(), n, gpu)] for one in ids]
    return [same[0] for same in takewhile(len, meant)]


def visible(library: str = LIBRARY) -> Gpu:
    """Returns the GPU that CUDA calls number 0 in this process, if it counts in the bus's order.

    Raises:
        NvmlError: There is none.
    """
    ids = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")
    found = named(ids, library)
    if not found:
        raise NvmlError(f"there is no GPU {ids[0]!r}")
    return found[0]


def count(library: str = LIBRARY) -> int:
    """Returns the number of GPUs that CUDA sees in this process; 0 without an answering driver."""
    ids = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        return len(named(None if ids is None else ids.split(","), library))
    except NvmlError:
        return 0


def condition(uuid: str, library: str = LIBRARY) -> Condition:
    """Returns a GPU's present clocks and temperature; 0 for any that it does not tell.

    Raises:
        NvmlError: There is no driver, or no such GPU.
    """
    nvml, handle = _opened(library), ctypes.c_void_p()
    _do(nvml, "nvmlDeviceGetHandleByUUID", uuid.encode(), ctypes.byref(handle))
    reasons = _number(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", handle, wide=True)
    return Condition(
        _number(nvml, "nvmlDeviceGetClockInfo", handle, SM_CLOCK),
        _number(nvml, "nvmlDeviceGetClockInfo", handle, MEMORY_CLOCK),
        _number(nvml, "nvmlDeviceGetTemperature", handle, GPU_SENSOR),
        reasons & ~IDLE,
    )


@cache
def _opened(library: str) -> ctypes.CDLL:
    """Loads the library and makes it ready, once per process."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError as error:
        raise NvmlError(f"{library} of NVIDIA's driver cannot be loaded ({error})") from error
    _do(nvml, "nvmlInit_v2")
    return nvml


def _do(nvml: ctypes.CDLL, name: str, *arguments: object) -> None:
    status = getattr(nvml, name)(*arguments)
    if status:
        raise NvmlError(f"NVIDIA's driver answered {name} with error {status}")


def _means(one: str, number: int, gpu: Gpu) -> bool:
    return one == str(number) or (bool(one) and gpu.uuid.startswith(one))


def _number(nvml: ctypes.CDLL, name: str, *arguments: object, wide: bool = False) -> int:
    """Reads one number of a device; 0 where the device has none."""
    value = ctypes.c_ulonglong() if wide else ctypes.c_uint()
    try:
        _do(nvml, name, *arguments, ctypes.byref(value))
    except (NvmlError, AttributeError):
        return 0
    return value.value


def _gpu(nvml: ctypes.CDLL, number: int) -> Gpu:
    handle = ctypes.c_void_p()
    _do(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(number), ctypes.byref(handle))
    major, minor = ctypes.c_int(), ctypes.c_int()
    capability = ctypes.byref(major), ctypes.byref(minor)
    _do(nvml, "nvmlDeviceGetCudaComputeCapability", handle, *capability)
    memory = (ctypes.c_ulonglong * 3)()  # total, free, used
    _do(nvml, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    return Gpu(
        name=_text(nvml, "nvmlDeviceGetName", handle),
        uuid=_text(nvml, "nvmlDeviceGetUUID", handle),
        arch=f"sm_{major.value}{minor.value}",
        memory_bytes=memory[0],
        driver=_text(nvml, "nvmlSystemGetDriverVersion"),
    )


def _text(nvml: ctypes.CDLL, name: str, *arguments: object) -> str:
    buffer = ctypes.create_string_buffer(TEXT)
    _do(nvml, name, *arguments, buffer, ctypes.c_uint(TEXT))
    return buffer.value.decode(errors="replace")
