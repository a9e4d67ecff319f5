"""CUDA's runtime, the one that TVM is linked to, called through ctypes.

Only a runner's child may call it: a process that has used a GPU cannot fork others that do.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

from chameleon_ray.compiler.tvm_process import CUDART

Pointer = ctypes.c_void_p
ON_DEVICE = 3
"""CUDA's number for copies from a GPU's memory to the same GPU's."""


class CudaError(Exception):
    """A function of CUDA failed.

    Attributes:
        status: CUDA's number of the error.
    """

    def __init__(self, name: str, status: int, words: str) -> None:
        super().__init__(f"CUDA's {name} failed with error {status} ({words})")
        self.status = status


@dataclass(frozen=True)
class Memory:
    """Bytes of a GPU's memory, and how many of them are free."""

    free: int
    total: int


class Cudart:
    """Functions of the CUDA runtime that is loaded into this process.

    All raise ``CudaError``. Streams and events are addresses.
    """

    def __init__(self) -> None:
        """Takes the library.

        Raises:
            OSError: It is not installed.
        """
        self._library = ctypes.CDLL(CUDART)
        self._library.cudaGetErrorString.restype = ctypes.c_char_p

    def count(self) -> int:
        """Returns the number of GPUs that this process may use."""
        number = ctypes.c_int()
        self._do("cudaGetDeviceCount", ctypes.byref(number))
        return number.value

    def memory(self) -> Memory:
        """Returns the present GPU's memory."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._do("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return Memory(free.value, total.value)

    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        """Queues a copy of so many bytes within the GPU's memory."""
        places = Pointer(to), Pointer(source)
        size_, kind = ctypes.c_size_t(size), ctypes.c_int(ON_DEVICE)
        self._do("cudaMemcpyAsync", *places, size_, kind, Pointer(stream))

    def event(self) -> int:
        """Makes an event, which lives as long as the process."""
        made = Pointer()
        self._do("cudaEventCreate", ctypes.byref(made))
        return made.value or 0

    def record(self, event: int, stream: int) -> None:
        """Queues the event: it notes the time when the GPU comes to it."""
        self._do("cudaEventRecord", Pointer(event), Pointer(stream))

    def wait(self, event: int) -> None:
        """Waits until the GPU has come to an event."""
        self._do("cudaEventSynchronize", Pointer(event))

    def seconds(self, begin: int, end: int) -> float:
        """Returns the seconds between two events that the GPU has come to."""
        milliseconds = ctypes.c_float()
        self._do("cudaEventElapsedTime", ctypes.byref(milliseconds), Pointer(begin), Pointer(end))
        return milliseconds.value / 1e3

    def forget_error(self) -> None:
        """Forgets the last error, unless it is one that stays."""
        self._library.cudaGetLastError()

    def _do(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            words = (self._library.cudaGetErrorString(status) or b"").decode(errors="replace")
            raise CudaError(name, status, words)
