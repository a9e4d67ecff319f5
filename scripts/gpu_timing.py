"""The part of ``gpu_check.py`` that studies how much timings of one kernel depend on the method.

Five times of each kernel, in microseconds: by TVM's evaluator behind a flush of the L2 cache;
between two events with nothing else queued; between two events that are queued behind the flush, so
that the launch is hidden, as the runner's clock does it; a call among many between two events, with
a warm cache; and a call among many by the host's clock.
"""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import gpu_kernels
from gpu_parts import Given

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.tvm_process import CUDART, block_torch
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.record import Status

KINDS = ("dense", "conv2d nhwc", "softmax", "add")
PATIENCE = 20.0


@dataclass(frozen=True)
class Counts:
    """How often a method times, and how many calls follow each other between two events."""

    shots: int = 30
    calls: int = 50


REHEARSED = Counts(3, 5)
"""For a rehearsal, whose times nobody reads."""


def study(given: Given) -> None:
    """Times some kernels by each method."""
    end = time.monotonic() + given.seconds
    counts = REHEARSED if given.small else Counts()
    child = Isolate(Setting("gpu_timing:methods", counts))
    try:
        for kernels in gpu_kernels.read(given.prebuilt):
            code = next((a.code for a in kernels.artifacts if a.status is Status.OK), None)
            if code is None or kernels.kind not in KINDS or time.monotonic() > end:
                continue
            given.report.entry(
                kernels.names, lambda job=(kernels.task.program, code): answer(child, job)
            )
    finally:
        child.close()


def answer(child: Isolate, job: tuple[bytes, bytes]) -> dict[str, float]:
    """What the child found.

    Raises:
        RuntimeError: It failed.
    """
    outcome = child.call(job, PATIENCE)
    if outcome.ending is not Ending.OK:
        raise RuntimeError(outcome.error)
    found: dict[str, float] = outcome.value
    return found


def methods(counts: Counts) -> Callable[[tuple[bytes, bytes]], dict[str, float]]:
    """Makes the handler in the child."""
    block_torch()
    CUDA.preload()
    import tvm  # noqa: F401  warms the zygote

    return Methods(counts)


class Methods:
    """All methods on one GPU, which is first looked at when a kernel is timed."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._cuda = ctypes.CDLL(CUDART)
        self._copies: list[Any] = []

    def __call__(self, job: tuple[bytes, bytes]) -> dict[str, float]:
        """Times one kernel, given as a task's program and compiled code."""
        import tvm

        from chameleon_ray.compiler.codegen.cuda_library import Library, load
        from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs

        device, (program, code), calls = tvm.cuda(0), job, self._counts.calls
        kernel, buffers = load(Library.loads(code)), LayerInputs().tensors(program, device)
        size = 2 * int(device.l2_cache_size_bytes or 64 << 20)
        self._copies = self._copies or [tvm.runtime.empty((size,), "int8", device) for _ in "ab"]
        source, sink = self._copies

        def call() -> None:
            kernel["main"](*buffers)

        def flush() -> None:
            source.copyto(sink)

        for _ in range(self._counts.shots):
            flush()
            call()
        device.sync()
        return {
            "evaluator_cold": 1e6 * self._evaluated(kernel, buffers, device, flush),
            "events_cold": 1e3 * self._events(call, 1, lambda: (flush(), device.sync())),
            "events_cold_queued": 1e3 * self._events(call, 1, flush),
            "events_warm": 1e3 * self._events(call, calls, device.sync) / calls,
            "host_warm": 1e6 * self._host(call, device.sync),
        }

    def _evaluated(self, kernel: Any, buffers: list[Any], device: Any, flush: Any) -> float:
        """Median seconds by TVM's evaluator."""
        import tvm_ffi

        name = "gpu_timing.flush"
        tvm_ffi.register_global_func(name, lambda *_: flush(), override=True)
        shots = self._counts.shots
        timed = kernel.time_evaluator("main", device, number=1, repeat=shots, f_preproc=name)
        return float(median(timed(*buffers).results))

    def _events(self, call: Any, calls: int, before: Any) -> float:
        """Median milliseconds between two events around so many calls."""
        cuda, pair, found = self._cuda, [ctypes.c_void_p() for _ in "ab"], []
        for event in pair:
            cuda.cudaEventCreate(ctypes.byref(event))
        for _ in range(self._counts.shots):
            before()
            cuda.cudaEventRecord(pair[0], None)
            for _ in range(calls):
                call()
            cuda.cudaEventRecord(pair[1], None)
            cuda.cudaEventSynchronize(pair[1])
            spent = ctypes.c_float()
            cuda.cudaEventElapsedTime(ctypes.byref(spent), *pair)
            found.append(spent.value)
        for event in pair:
            cuda.cudaEventDestroy(event)
        return median(found)

    def _host(self, call: Any, wait: Any) -> float:
        """Median seconds of a call among many by the host's clock."""
        found, calls = [], self._counts.calls
        for _ in range(self._counts.shots):
            began = time.perf_counter()
            for _ in range(calls):
                call()
            wait()
            found.append((time.perf_counter() - began) / calls)
        return median(found)
