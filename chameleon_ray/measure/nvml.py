"""NVIDIA's management library (NVML): which GPUs there are, and their clocks and temperature.

It is called through ctypes, as the library comes with the driver and nothing else may be installed.
It is only ever read from: clocks and limits stay as they are.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

from chameleon_ray.measure import nvidia_driver

LIBRARY = "libnvidia-ml.so.1"
TEXT = 96
"""Bytes that the library's longest strings need."""
SM_CLOCK, MEMORY_CLOCK = 1, 2
GPU_SENSOR = 0
IDLE = 1
"""Bit of NVML's throttle reasons for an idle GPU, which is not really throttled."""


UNSUPPORTED, FORBIDDEN, LOST = 3, 4, 15
"""NVML's errors for what a GPU does not tell, for one that this user may not use, and for one that
has fallen off the bus."""
MEANINGS = {
    FORBIDDEN: "this user may not use the GPUs",
    9: "its kernel module is not loaded, perhaps as there is no GPU",
    LOST: "the GPU is lost: it fell off the bus, or is to be reset",
    16: "the GPU is to be reset; see nvidia-smi",
    999: "the GPU does not answer; see nvidia-smi, and the kernel's log for an Xid",
    18: "its library and its kernel module have different versions, so restart the machine",
}
"""What NVML's errors mean, where that says what to do."""


class NvmlError(Exception):
    """The driver cannot be asked, for a reason given in one sentence."""

    status = 0
    """NVML's number of the error; 0 where the library itself is missing."""
    uuid = ""
    """Identifier of the GPU that cannot be used, where it tells that."""


class Divided(NvmlError):
    """A GPU is divided into instances, or one of them is meant; CUDA takes the first for a GPU."""

    def __init__(self, uuid: str) -> None:
        super().__init__(
            "the GPU is divided into instances (MIG), which disturb each other's latencies and "
            "are not supported; its administrator ends that with nvidia-smi -mig 0"
        )
        self.uuid = uuid


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine.

    Attributes:
        name: Name of its model.
        uuid: Identifier of the GPU, which ``CUDA_VISIBLE_DEVICES`` takes, too.
        arch: Architecture as targets name it, such as ``sm_90``.
        memory_bytes: Size of its memory; 0 where that is the machine's.
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
    """Returns all GPUs that can be used, in NVML's order, which is that of the bus.

    Raises:
        NvmlError: There is no driver, or it does not answer.
    """
    return [gpu for _, gpu in _numbered(library)]


def unusable(library: str = LIBRARY) -> dict[int, NvmlError]:
    """Returns why some GPUs cannot be used, by their numbers on the bus; raises as ``gpus``."""
    return {number: found for number, found in _all(library) if isinstance(found, NvmlError)}


def named(ids: Sequence[str] | None, library: str = LIBRARY) -> list[Gpu]:
    """Returns the GPUs of some numbers on the bus or UUIDs; all GPUs where None.

    As CUDA does with ``CUDA_VISIBLE_DEVICES``, it stops at the first one that is not there.

    Raises:
        NvmlError: There is no driver, or it does not answer.
    """
    found = list(_numbered(library))
    if ids is None:
        return [gpu for _, gpu in found]
    meant = [[gpu for n, gpu in found if _means(one.strip(), n, gpu.uuid)] for one in ids]
    return [same[0] for same in takewhile(len, meant)]


def visible(library: str = LIBRARY) -> Gpu:
    """Returns the GPU that CUDA calls number 0 in this process, if it counts in the bus's order.

    Raises:
        NvmlError: There is none.
    """
    ids = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")
    found = named(ids, library)
    if not found:
        named_ids, first = os.environ.get("CUDA_VISIBLE_DEVICES"), ids[0].strip()
        if first.startswith("MIG-"):
            raise Divided(first)
        for number, error in unusable(library).items():
            if _means(first, number, error.uuid):
                raise error
        if named_ids is None:
            raise NvmlError("there is no GPU, or it is lost")
        raise NvmlError(
            f"CUDA_VISIBLE_DEVICES is {named_ids!r}, and there is no such GPU, or it is lost; "
            "nvidia-smi -L lists those that there are"
        )
    return found[0]


def shown(library: str = LIBRARY) -> list[Gpu]:
    """Returns the GPUs that CUDA sees in this process, in its order if it counts in the bus's.

    Raises:
        NvmlError: There is no driver, or it does not answer.
    """
    ids = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named(None if ids is None else ids.split(","), library)


def count(library: str = LIBRARY) -> int:
    """Returns the number of GPUs that CUDA sees in this process; 0 without an answering driver."""
    try:
        return len(shown(library))
    except NvmlError:
        return 0


def driver(library: str = LIBRARY) -> str:
    """Returns the driver's version, such as ``580.95.05``.

    Raises:
        NvmlError: There is no driver, or it does not answer.
    """
    return _text(_opened(library), "nvmlSystemGetDriverVersion")


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
        nvml = nvidia_driver.load(library)
    except OSError as error:
        raise NvmlError(f"{library} of NVIDIA's driver cannot be loaded ({error})") from error
    _do(nvml, "nvmlInit_v2")
    return nvml


def _do(nvml: ctypes.CDLL, name: str, *arguments: object) -> None:
    status = getattr(nvml, name)(*arguments)
    if status:
        meaning = f" ({MEANINGS[status]})" if status in MEANINGS else ""
        trouble = NvmlError(f"NVIDIA's driver answered {name} with error {status}{meaning}")
        trouble.status = status
        raise trouble


def _numbered(library: str) -> Iterator[tuple[int, Gpu]]:
    """Yields the GPUs that can be used, with their numbers on the bus."""
    return ((number, found) for number, found in _all(library) if isinstance(found, Gpu))


def _all(library: str) -> Iterator[tuple[int, Gpu | NvmlError]]:
    """Yields the numbers of GPUs, with an error for those that cannot be used.

    NVML counts GPUs that a container or a job's scheduler keeps from this user, and CUDA does not.
    They are left out and have no number here; if there are no others, this raises as ``gpus``.
    """
    nvml, count = _opened(library), ctypes.c_uint()
    _do(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
    number, forbidden = 0, None
    for place in range(count.value):
        found: Gpu | NvmlError
        try:
            found = _gpu(nvml, place)
        except NvmlError as error:
            if error.status == FORBIDDEN:
                forbidden = error
                continue
            found = error
        yield number, found
        number += 1
    if forbidden is not None and number == 0:
        raise forbidden


def _means(one: str, number: int, uuid: str) -> bool:
    return one == str(number) or (bool(one) and uuid.startswith(one))


def _number(
    nvml: ctypes.CDLL, name: str, *arguments: object, wide: bool = False, last: object = None
) -> int:
    """Reads one number of a device; 0 where the device has none."""
    value = ctypes.c_ulonglong() if wide else ctypes.c_uint()
    more = () if last is None else (last,)
    try:
        _do(nvml, name, *arguments, ctypes.byref(value), *more)
    except (NvmlError, AttributeError):
        return 0
    return value.value


def _gpu(nvml: ctypes.CDLL, number: int) -> Gpu:
    handle, pending = ctypes.c_void_p(), ctypes.c_uint()
    _do(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(number), ctypes.byref(handle))
    modes = ctypes.byref(pending)
    if _number(nvml, "nvmlDeviceGetMigMode", handle, last=modes):
        raise Divided(_text(nvml, "nvmlDeviceGetUUID", handle))
    major, minor = ctypes.c_int(), ctypes.c_int()
    capability = ctypes.byref(major), ctypes.byref(minor)
    _do(nvml, "nvmlDeviceGetCudaComputeCapability", handle, *capability)
    memory = (ctypes.c_ulonglong * 3)()  # total, free, used
    try:
        _do(nvml, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    except NvmlError as error:
        if error.status != UNSUPPORTED:  # what a GPU says that shares the machine's memory
            raise
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
