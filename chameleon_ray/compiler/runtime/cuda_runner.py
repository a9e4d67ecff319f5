"""Timing on a GPU: compiled candidates in, latencies by CUDA's events out, one kernel at a time.

The process that times has forked from one that never touched the GPU, loads binaries only, and is
replaced after anything that goes wrong: an error of CUDA makes all that follow in it fail.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from chameleon_ray.compiler.runtime.cpu_runner import FAILURES, Contest, Inputs, Race, random_array
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.compiler.target import TargetError, resolve
from chameleon_ray.compiler.tvm_process import block_torch, load_cudart
from chameleon_ray.measure import nvml
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.measure.racing import race, take_turns
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import Status
from chameleon_ray.task import Task

FLUSH = "chameleon.flush_l2"
"""The function that TVM's evaluator calls before each execution."""
ENVIRONMENT = (("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("TVM_NUM_THREADS", "1"))
"""CUDA numbers the GPUs as NVML does."""


@dataclass(frozen=True)
class Survey:
    """Asks for the GPU itself."""


@dataclass(frozen=True)
class Surveyed:
    """What is known of a GPU: its target as JSON and its name, or why there is none."""

    target: str = ""
    device: str = ""
    error: str = ""


@dataclass(frozen=True)
class Once:
    """A candidate to be run once, for its outputs."""

    program: bytes
    code: bytes


class GpuTimer:
    """What runs inside the runner's child; keeps each layer's inputs on the GPU."""

    def __init__(self) -> None:
        block_torch()
        load_cudart()
        import tvm

        from chameleon_ray.compiler.codegen.cuda_library import forbid_compiling

        forbid_compiling()
        self._device = tvm.cuda(0)
        self._inputs: dict[bytes, list[np.ndarray]] = {}
        self._buffers: dict[bytes, list[Any]] = {}
        self._flushes: Callable[..., None] | None = None

    def __call__(self, job: Survey | Inputs | Once | Race | Contest) -> Any:
        self._demand()
        if isinstance(job, Survey):
            return self._survey()
        if isinstance(job, Inputs):
            self._arguments(job.program)
            return None
        if isinstance(job, Once):
            buffers = self._tensors(job.program)
            self._once(_load(job.code), buffers)
            return [buffer.numpy() for buffer in buffers]
        return self._race(job) if isinstance(job, Race) else self._contest(job)

    def _demand(self) -> None:
        """Raises where there is no GPU that TVM sees; the first look at it of this process."""
        if self._flushes is None:
            if not self._device.exist:
                raise TargetError(
                    "TVM sees no GPU on this machine; chameleon devices says what is missing."
                )
            self._flushes = _flushing(self._device)

    def _survey(self) -> Surveyed:
        device = self._device
        fields = {
            "kind": "cuda",
            "arch": f"sm_{device.compute_version.replace('.', '')}",
            "max_threads_per_block": int(device.max_threads_per_block),
            "max_shared_memory_per_block": int(device.max_shared_memory_per_block),
            "thread_warp_size": int(device.warp_size),
            "l2_cache_size_bytes": int(device.l2_cache_size_bytes or 0),
        }
        return Surveyed(resolve(json.dumps(fields), 1), str(device.device_name))

    def _race(self, job: Race) -> tuple[tuple[float, ...], float, str]:
        """Latencies, the seconds the GPU executed the kernel, and how it fared."""
        buffers, options = self._arguments(job.program), job.options
        library = _load(job.code)
        began = time.perf_counter()
        self._once(library, buffers)  # loads the binary into the GPU
        first = self._once(library, buffers)
        # the host's clock has the launch in it, which short kernels take longer to than to execute
        hopeless = max(options.hopeless * job.best, options.repeat_seconds / options.shots)
        if first > min(hopeless, options.long_seconds):
            return (first,), time.perf_counter() - began, condition()
        latencies = race(self._clock(library, buffers, first, options), job.best, options)
        return latencies, time.perf_counter() - began, condition()

    def _contest(self, job: Contest) -> list[tuple[tuple[float, ...], float, float, bool]]:
        """Per candidate: latencies, largest absolute and relative error, whether it is right."""
        libraries, buffers = [_load(code) for code in job.codes], self._arguments(job.program)
        first, errors, reference = [], [], list[np.ndarray]()
        for library in libraries:
            fresh = self._tensors(job.program)
            self._once(library, fresh)
            outputs = [buffer.numpy() for buffer in fresh]
            reference = reference or outputs
            absolute, relative, right = zip(*map(difference, outputs, reference), strict=True)
            errors.append((max(absolute), max(relative), all(right)))
            first.append(self._once(library, buffers))
        pairs = zip(libraries, first, strict=True)
        clocks = [self._clock(library, buffers, seconds, job.options) for library, seconds in pairs]
        latencies = take_turns(clocks, first, job.repeats, job.options)
        return [(tuple(t), *error) for t, error in zip(latencies, errors, strict=True)]

    def _once(self, library: Any, buffers: list[Any]) -> float:
        """Seconds of one execution, launch and wait included."""
        self._device.sync()
        began = time.perf_counter()
        library["main"](*buffers)
        self._device.sync()
        return time.perf_counter() - began

    def _clock(
        self, library: Any, buffers: list[Any], seconds: float, options: Measuring
    ) -> Callable[[], float]:
        """Each call gives the median seconds of some executions by CUDA's events, none of which
        finds its inputs in the L2 cache; so many that they suffice where one takes ``seconds``."""
        evaluate = library.time_evaluator(
            "main",
            self._device,
            number=1,
            repeat=shots_of(seconds, options),
            f_preproc=FLUSH,
        )
        return lambda: float(median(evaluate(*buffers).results))

    def _arguments(self, program: bytes) -> list[Any]:
        if program not in self._buffers:
            self._buffers[program] = self._tensors(program)
        return self._buffers[program]

    def _tensors(self, program: bytes) -> list[Any]:
        """A layer's buffers on the GPU, filled at random, the same each time."""
        import tvm

        if program not in self._inputs:
            from chameleon_ray.compiler.spaces.sketch import Program

            rng = np.random.default_rng(0)
            shapes = Program.loads(program).arguments
            self._inputs[program] = [random_array(rng, shape, dtype) for shape, dtype in shapes]
        return [tvm.runtime.tensor(array, self._device) for array in self._inputs[program]]


def shots_of(seconds: float, options: Measuring) -> int:
    """Executions that make one timing of a kernel of so many seconds."""
    return max(1, min(options.shots, round(options.repeat_seconds / max(seconds, 1e-9))))


def condition() -> str:
    """Clocks and temperature of this process's GPU, as JSON; empty where they cannot be read."""
    try:
        return json.dumps(asdict(nvml.condition(nvml.visible().uuid)))
    except nvml.NvmlError:
        return ""


def _flushing(device: Any) -> Callable[..., None]:
    """Registers what empties the L2 cache: a copy of twice its size, in the kernel's stream."""
    import tvm
    import tvm_ffi

    size = 2 * int(device.l2_cache_size_bytes or 64 << 20)
    source = tvm.runtime.empty((size,), "int8", device)
    sink = tvm.runtime.empty((size,), "int8", device)

    def flush(*_: Any) -> None:
        source.copyto(sink)

    tvm_ffi.register_global_func(FLUSH, flush, override=True)
    return flush


def _load(code: bytes) -> Any:
    from chameleon_ray.compiler.codegen.cuda_library import Library, load

    return load(Library.loads(code))


def gpu_timer(_: None) -> GpuTimer:
    """Factory of the runner's child."""
    return GpuTimer()


class GpuRunner:
    """Times on the GPU that this process sees first, in a child of its own."""

    def __init__(self, options: Measuring, cores: tuple[int, ...] | None = None) -> None:
        self.options, self._device = options, ""
        self._child = Isolate(
            Setting(
                "chameleon_ray.compiler.runtime.cuda_runner:gpu_timer",
                cores=cores,
                environment=ENVIRONMENT,
            )
        )

    def warm(self) -> None:
        """Waits until it can time without delay."""
        self._child.warm()

    def survey(self) -> Surveyed:
        """What GPU it is."""
        outcome = self._call(Survey(), self.options.default_timeout)
        if outcome.ending is not Ending.OK:
            return Surveyed(error=outcome.error)
        surveyed: Surveyed = outcome.value
        return surveyed

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``measure.Runner``."""
        job = Race(task.program, artifact.code, best, self.options, artifact.default)
        options = self.options
        patience = options.default_timeout if artifact.default else options.run_timeout
        outcome = self._timed(task, job, patience)
        if outcome.ending is not Ending.OK:
            return self._failure(outcome)
        latencies, timing, fared = outcome.value
        seconds = outcome.seconds
        return Timing(latencies, Status.OK, seconds, timing, self.device, conditions=fared)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """Compares and times artifacts in turns; see ``measure.Runner``."""
        codes = tuple(artifact.code for artifact in artifacts)
        job = Contest(task.program, codes, options.repeats, self.options)
        patience = self.options.run_timeout * options.repeats * (len(codes) - 1)
        outcome = self._timed(task, job, self.options.default_timeout + patience)
        if outcome.ending is not Ending.OK:
            return self._failure(outcome)
        return tuple(Finalist(*fields) for fields in outcome.value)

    def outputs(self, task: Task, artifact: Artifact) -> list[np.ndarray] | Timing:
        """All buffers after one execution on the inputs that all candidates get, or its failure."""
        job = Once(task.program, artifact.code)
        outcome = self._call(job, self.options.default_timeout)
        return outcome.value if outcome.ending is Ending.OK else self._failure(outcome)

    @property
    def device(self) -> str:
        """The GPU's name; empty where there is none."""
        if not self._device:
            self._device = self.survey().device
        return self._device

    def close(self) -> None:
        self._child.close()

    def _timed(self, task: Task, job: Race | Contest, timeout: float) -> Outcome:
        """A job's outcome; making a layer's inputs, at first, is not on its clock."""
        self._child.renew(self.options.jobs_per_child)
        made = self._call(Inputs(task.program), self.options.default_timeout)
        return self._call(job, timeout) if made.ending is Ending.OK else made

    def _call(self, job: Any, timeout: float) -> Outcome:
        """A job's outcome; after an error the child is replaced, as CUDA's errors are for good."""
        outcome = self._child.call(job, timeout)
        if outcome.ending is Ending.ERROR:
            self._child.renew(0)
        return outcome

    def _failure(self, outcome: Outcome) -> Timing:
        status = FAILURES[outcome.ending]
        error = outcome.error[:500]  # TVM's errors of a launch end with the kernel's source
        return Timing((), status, outcome.seconds, 0.0, self._device, error)
