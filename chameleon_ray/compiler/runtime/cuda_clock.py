"""Times kernels on a GPU by CUDA's events, all of them queued before the first is over.

A copy goes before each execution. While the GPU copies, the host queues an event, the kernel and
another event. So the time between the events contains no wait for the host. The copy also replaces
what is in the L2 cache.
"""

import re
import time
from collections.abc import Callable
from typing import Any

from chameleon_ray.compiler.runtime import cuda_driver, gpu_memory
from chameleon_ray.compiler.runtime.cudart import Cudart
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.options import Measuring

UNKNOWN_CACHE = 64 << 20
"""Bytes that an L2 cache is taken to have where the GPU does not tell."""
LEAST_COPY = 64 << 20
"""Least bytes of a copy: a GPU of 1 TB/s takes 0.13 ms for it, as the host queues a few calls."""
BUSY = re.compile(rf"CUDA\b.*\({cuda_driver.BUSY}\)")
"""Pattern of TVM's error for a GPU that another process has to itself."""
COPIES = 16
"""Copies that are queued at once to keep the GPU busy."""


class CudaClock:
    """Times what is executed in TVM's stream of one GPU."""

    def __init__(self, device: Any) -> None:
        """Allocates two buffers of ``buffer_size``; creates the process's CUDA context.

        Args:
            device: TVM's device.

        Raises:
            CudaError: The GPU cannot be used.
        """
        import tvm
        import tvm_ffi

        self._cudart, self._stream = Cudart(), int(tvm_ffi.get_raw_stream(device) or 0)
        self._size = buffer_size(device)
        self._source = tvm.runtime.empty((self._size,), "int8", device)
        self._sink = tvm.runtime.empty((self._size,), "int8", device)
        self._pairs: list[tuple[int, int]] = []
        self._busy = float("-inf")

    def wake(self, options: Measuring) -> None:
        """Keeps the GPU busy for a moment if it was idle, as its clocks are low then."""
        if time.perf_counter() - self._busy < options.idle_seconds:
            return
        (_, end), deadline = self._events(1)[0], time.perf_counter() + options.wake_seconds
        while time.perf_counter() < deadline:
            for _ in range(COPIES):
                self._copy()
            self._cudart.record(end, self._stream)
            self._cudart.wait(end)
        self._busy = time.perf_counter()

    def time(self, execute: Callable[[], Any], shots: int, options: Measuring) -> list[float]:
        """Executes something so many times, and waits once.

        Args:
            execute: Queues the kernels in TVM's stream; it must not wait for them.
            shots: Number of executions.
            options: Settings of the timing, such as whether caches are warm.

        Returns:
            Seconds of each execution.

        Raises:
            CudaError: Something that was executed failed.
        """
        self.wake(options)
        pairs, cudart = self._events(shots), self._cudart
        for begin, end in pairs:
            self._copy()
            if options.warm_cache:
                execute()
            cudart.record(begin, self._stream)
            execute()
            cudart.record(end, self._stream)
        cudart.wait(pairs[-1][1])
        self._busy = time.perf_counter()
        return [cudart.seconds(begin, end) for begin, end in pairs]

    def _copy(self) -> None:
        places = self._sink.data_ptr(), self._source.data_ptr()
        self._cudart.copy(*places, self._size, self._stream)

    def _events(self, count: int) -> list[tuple[int, int]]:
        """Returns pairs of events, which are made once."""
        while len(self._pairs) < count:
            self._pairs.append((self._cudart.event(), self._cudart.event()))
        return self._pairs[:count]


def opened(device: Any) -> CudaClock:
    """Makes the clock of a GPU, which is its process's first use of CUDA.

    Raises:
        TargetError: No GPU can be used, or not now.
        GpuFullError: Its memory has no room.
    """
    trouble = cuda_driver.trouble()
    if not (trouble or device.exist):
        trouble = "its CUDA runtime is missing or broken; install the wheel apache-tvm again"
    if trouble:
        raise TargetError(f"TVM sees no GPU on this machine: {trouble}.")
    try:
        return CudaClock(device)
    except Exception as error:
        if BUSY.search(str(error)):
            why = cuda_driver.MEANINGS[cuda_driver.BUSY]
            raise TargetError(f"TVM cannot open the GPU: {why}.") from error
        if not gpu_memory.is_full(error):
            raise
    raise gpu_memory.full("The buffers that empty the GPU's cache", 2 * buffer_size(device))


def buffer_size(device: Any) -> int:
    """Returns the bytes of a buffer whose copy replaces a GPU's L2 cache, and hides launches."""
    return max(LEAST_COPY, 2 * int(device.l2_cache_size_bytes or UNKNOWN_CACHE))
