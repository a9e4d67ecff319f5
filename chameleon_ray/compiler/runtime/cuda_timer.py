"""Times kernels inside a runner's child, which has the GPU to itself, and answers its jobs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from chameleon_ray.compiler.gpu_versions import driver_version
from chameleon_ray.compiler.nvidia import completed
from chameleon_ray.compiler.runtime import gpu_memory
from chameleon_ray.compiler.runtime.cuda_clock import CudaClock, opened
from chameleon_ray.compiler.runtime.gpu_condition import condition
from chameleon_ray.compiler.runtime.jobs import (
    Contest,
    Race,
    Raced,
)
from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs
from chameleon_ray.compiler.runtime.layer_precision import layer_precision
from chameleon_ray.compiler.runtime.layer_reference import LayerReference
from chameleon_ray.compiler.runtime.tolerance import differences
from chameleon_ray.compiler.target import made
from chameleon_ray.compiler.tvm_process import block_torch, load_cudart
from chameleon_ray.measure.calibrated import Surveyed
from chameleon_ray.measure.measurer import Finalist
from chameleon_ray.measure.racing import race, take_turns
from chameleon_ray.options import Measuring
from chameleon_ray.task import Constants


@dataclass(frozen=True)
class Opening:
    """A job that opens the child's GPU."""

    def run(self, timer: "CudaTimer") -> None:
        _ = timer.clock


@dataclass(frozen=True)
class Survey:
    """A job that asks which GPU the child has."""

    def run(self, timer: "CudaTimer") -> Surveyed:
        return timer.survey()


@dataclass(frozen=True)
class Once:
    """A job that runs a candidate once, for its outputs."""

    program: bytes
    code: bytes

    def run(self, timer: "CudaTimer") -> list[np.ndarray]:
        return timer.outputs(self)


class CudaTimer:
    """Times kernels inside the runner's child, and keeps each layer's inputs on the GPU.

    See ``Timer``.
    """

    def __init__(self) -> None:
        block_torch()
        load_cudart()
        import tvm

        from chameleon_ray.compiler.codegen.cuda_library import forbid_compiling

        forbid_compiling()
        self._device = tvm.cuda(0)
        self._inputs, self._reference = LayerInputs(), LayerReference()
        self._opened: CudaClock | None = None
        self._failed: Exception | None = None

    def __call__(self, job: Any) -> Any:
        """Does a job; once more with only its own layer on the GPU, if the memory is full."""
        try:
            return job.run(self)
        except Exception as error:
            if not (gpu_memory.is_full(error) and hasattr(job, "program")):
                # TVM cannot unload kernels after an error of CUDA: their frames live on
                self._failed = error
                raise
        self._inputs.forget()
        try:
            return job.run(self)
        except Exception as error:
            if not gpu_memory.is_full(error):
                self._failed = error
                raise
        self._inputs.forget()
        needed = self._inputs.size(job.program) * (2 if isinstance(job, Contest) else 1)
        raise gpu_memory.full("The layer's buffers", needed)

    @property
    def clock(self) -> CudaClock:
        """Clock of the GPU, whose first use opens the GPU; see ``opened``."""
        if self._opened is None:
            self._opened = opened(self._device)
        return self._opened

    def survey(self) -> Surveyed:
        """Returns the GPU that this process sees first, once its clock is there."""
        from chameleon_ray.compiler.codegen import vendor_glue

        device, _ = self._device, self.clock
        fields = {
            "kind": "cuda",
            "arch": f"sm_{device.compute_version.replace('.', '')}",
            "max_threads_per_block": int(device.max_threads_per_block),
            "max_shared_memory_per_block": int(device.max_shared_memory_per_block),
            "thread_warp_size": int(device.warp_size),
            "l2_cache_size_bytes": int(device.l2_cache_size_bytes or 0),
        }
        target = made(json.dumps(fields), completed(fields))
        lacking = tuple(vendor_glue.troubles().items())
        known = tuple(driver_version().items())
        return Surveyed(str(target), str(device.device_name), lacking=lacking, versions=known)

    def outputs(self, job: Once) -> list[np.ndarray]:
        """Returns all buffers of a candidate after one execution."""
        buffers = self._inputs.tensors(job.program, self._device)
        self._once(_load(job.code), buffers)
        return [buffer.numpy() for buffer in buffers]

    def race(self, job: Race) -> Raced:
        """Times a candidate; one that is hopeless or long is executed twice."""
        from chameleon_ray.compiler.codegen import vendor_glue

        buffers, options = self._inputs.shared(job.program, self._device), job.options
        self.clock.wake(options)
        began = time.perf_counter()
        try:
            library = _load(job.code)
            self._once(library, buffers)  # loads the binary into the GPU
        except RuntimeError as error:
            return Raced((), 0.0, unavailable=vendor_glue.unavailable(error))
        first = self._once(library, buffers)
        # the host's clock has the launch in it, which short kernels take longer to than to execute
        hopeless = max(options.hopeless * job.best, options.repeat_seconds / options.shots)
        if first > min(hopeless, options.long_seconds):
            return Raced((first,), time.perf_counter() - began, condition())
        latencies = race(self._timing(library, buffers, first, options), job.best, options)
        return Raced(latencies, time.perf_counter() - began, condition())

    def contest(self, job: Contest) -> list[Finalist]:
        """Compares all outputs with ``LayerReference``'s or else the first, and times in turns."""
        libraries = [_load(code) for code in job.codes]
        buffers = self._inputs.shared(job.program, self._device)
        first, errors, precision = [], [], layer_precision(job.program)
        before = self._inputs.arrays(job.program)
        reference = self._reference.outputs(job.program, before, job.options.reference_flop)
        for library in libraries:
            fresh = self._inputs.tensors(job.program, self._device)
            self._once(library, fresh)
            outputs = [buffer.numpy() for buffer in fresh]
            reference = reference or outputs
            errors.append(differences(outputs, reference, precision))
            first.append(self._once(library, buffers))
        pairs = zip(libraries, first, strict=True)
        clocks = [self._timing(library, buffers, time, job.options) for library, time in pairs]
        latencies = take_turns(clocks, first, job.repeats, job.options)
        return [Finalist(tuple(t), *error) for t, error in zip(latencies, errors, strict=True)]

    def _once(self, library: Any, buffers: list[Any]) -> float:
        """Executes a kernel once; returns the seconds, launch and wait included."""
        self._device.sync()
        began = time.perf_counter()
        library["main"](*buffers)
        self._device.sync()
        return time.perf_counter() - began

    def _timing(
        self, library: Any, buffers: list[Any], seconds: float, options: Measuring
    ) -> Callable[[], float]:
        """Returns what gives the median seconds of some executions.

        Their number suits a kernel that takes ``seconds``.
        """
        execute, shots = partial(library["main"], *buffers), shots_of(seconds, options)
        return lambda: median(self.clock.time(execute, shots, options))

    def prepare(self, program: bytes, constants: Constants) -> None:
        """Makes the layer's buffers on the GPU, filled at random."""
        self._inputs.shared(program, self._device)


def shots_of(seconds: float, options: Measuring) -> int:
    """Returns the number of executions that make one timing of a kernel of so many seconds."""
    return max(1, min(options.shots, round(options.repeat_seconds / max(seconds, 1e-9))))


def _load(code: bytes) -> Any:
    from chameleon_ray.compiler.codegen.cuda_library import Library, load

    return load(Library.loads(code))


def timer(_: None) -> CudaTimer:
    """Makes the handler in the runner's child."""
    return CudaTimer()
