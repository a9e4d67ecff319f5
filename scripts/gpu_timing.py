"""The part of ``gpu_check.py`` that studies how much timings of one kernel depend on the method.

Five times of each kernel, in microseconds: what the runner records (TVM's evaluator behind a flush
of the L2 cache); between two events with nothing else queued; between two events that are queued
behind the flush, so that the launch is hidden; a call among many between two events, with a warm
cache; and a call among many by the host's clock.
"""

import ctypes
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import gpu_kernels
from gpu_parts import Given

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.tvm_process import CUDART, block_torch
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.record import Status

KINDS = ("dense", "conv2d nhwc", "softmax", "add")
SHOTS, CALLS = 30, 50
PATIENCE = 20.0


def study(given: Given) -> None:
    """Times some kernels by each method."""
    end = time.monotonic() + given.seconds
    child = Isolate(Setting("gpu_timing:methods"))
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


def methods(_: None) -> Callable[[tuple[bytes, bytes]], dict[str, float]]:
    """Makes the handler in the child."""
    block_torch()
    CUDA.preload()
    import tvm  # noqa: F401  warms the zygote

    return Methods()


class Methods:
    """All methods on one GPU, which is first looked at when a kernel is timed."""

    def __init__(self) -> None:
        self._cuda = ctypes.CDLL(CUDART)
        self._copies: list[Any] = []

    def __call__(self, job: tuple[bytes, bytes]) -> dict[str, float]:
        """Times one kernel, given as a task's program and compiled code."""
        import tvm

        from chameleon_ray.compiler.codegen.cuda_library import Library, load
        from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs

        device, (program, code) = tvm.cuda(0), job
        kernel, buffers = load(Library.loads(code)), LayerInputs().tensors(program, device)
        size = 2 * int(device.l2_cache_size_bytes or 64 << 20)
        self._copies = self._copies or [tvm.runtime.empty((size,), "int8", device) for _ in "ab"]
        source, sink = self._copies

        def call() -> None:
            kernel["main"](*buffers)

        def flush() -> None:
            source.copyto(sink)

        for _ in range(SHOTS):
            flush()
            call()
        device.sync()
        return {
            "evaluator_cold": 1e6 * self._evaluated(kernel, buffers, device, flush),
            "events_cold": 1e3 * self._events(call, 1, lambda: (flush(), device.sync())),
            "events_cold_queued": 1e3 * self._events(call, 1, flush),
            "events_warm": 1e3 * self._events(call, CALLS, device.sync) / CALLS,
            "host_warm": 1e6 * _host(call, device.sync),
        }

    def _evaluated(self, kernel: Any, buffers: list[Any], device: Any, flush: Any) -> float:
        """Median seconds by TVM's evaluator."""
        import tvm_ffi

        name = "gpu_timing.flush"
        tvm_ffi.register_global_func(name, lambda *_: flush(), override=True)
        timed = kernel.time_evaluator("main", device, number=1, repeat=SHOTS, f_preproc=name)
        return float(median(timed(*buffers).results))

    def _events(self, call: Any, calls: int, before: Any) -> float:
        """Median milliseconds between two events around so many calls."""
        cuda, pair, found = self._cuda, [ctypes.c_void_p() for _ in "ab"], []
        for event in pair:
            cuda.cudaEventCreate(ctypes.byref(event))
        for _ in range(SHOTS):
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


def _host(call: Any, wait: Any) -> float:
    """Median seconds of a call among many by the host's clock."""
    found = []
    for _ in range(SHOTS):
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        wait()
        found.append((time.perf_counter() - began) / CALLS)
    return median(found)
