"""Times compiled candidates on a CPU, on the cores that are the runner's."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from chameleon_ray.compiler.codegen.builder import Compiler, Job, artifact_of
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.cold_weights import Arguments, ColdWeights, Executions
from chameleon_ray.compiler.runtime.cpu_clock import Beside, CpuClock
from chameleon_ray.compiler.runtime.jobs import ChildRunner, Contest, Race, Raced, Reference
from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs
from chameleon_ray.compiler.runtime.layer_precision import layer_precision
from chameleon_ray.compiler.runtime.pinned_threads import pin
from chameleon_ray.compiler.runtime.tolerance import differences
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.copies import Copies
from chameleon_ray.measure.core_turns import turn
from chameleon_ray.measure.isolate import Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.measure.racing import race, take_turns
from chameleon_ray.measure.run_delay import Stopwatch, longest, stolen
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import DISTURBED
from chameleon_ray.space import Config
from chameleon_ray.task import Constants, Task

ELF = b"\x7fELF"
"""First bytes of a shared library."""


class CpuTimer:
    """Times kernels inside the runner's child, and keeps each layer's inputs; see ``Timer``."""

    def __init__(self, kind: TargetKind, options: Measuring) -> None:
        block_torch()
        import tvm  # warms the zygote

        self._kind, self._device = kind, tvm.cpu()
        self._cores = os.sched_getaffinity(0)
        self._copies = Copies(self._cores, options.instances, pin)
        self._threads = len(self._copies.own)
        self._inputs = LayerInputs()
        self._cold = ColdWeights(options)
        self._compiler: Compiler | None = None
        self._pinned = False

    def __call__(self, job: Any) -> Any:
        if not self._pinned:  # not before: a fork of the zygote would not have its threads
            self._pinned = True
            pin(self._copies.own)
        return job.run(self)

    def compile(self, job: Job) -> Artifact:
        """Compiles a configuration where nothing is timed meanwhile; see ``Compiler``."""
        self._compiler = self._compiler or Compiler(self._kind)
        return self._compiler.compile(job)

    def prepare(self, program: bytes, constants: Constants) -> None:
        """Makes the layer's buffers, filled at random, and copies of its weights."""
        for copy in range(1 + len(self._copies.others)):
            self._arguments(program, constants, copy)

    def race(self, job: Race) -> Raced:
        """Times a candidate; one that is hopeless or long is executed twice at most."""
        library = _load(job.code)
        executions, beside = self._executions(library, job), self._beside(library, job)
        own = self._copies.own
        began, watch, before = time.perf_counter(), Stopwatch(self._threads), stolen(own)
        execute = executions.original if job.default else executions  # its outputs may be kept
        with beside():
            first = watch.time(execute)
            if first < job.options.repeat_seconds:  # short: its code was cold, try again
                first = watch.time(execute)
        kept = None
        if first > min(job.options.hopeless * job.best, job.options.long_seconds):
            latencies: tuple[float, ...] = (first,)
            kept = self._reference(job, first) if job.default else None
        else:
            clock = CpuClock(executions, first, job.options, watch, beside)
            latencies = race(clock, job.best, job.options)
        executing = time.perf_counter() - began
        conditions = _conditions(watch, longest(before, stolen(own)), job.options)
        return Raced(latencies, executing, conditions, kept)

    def contest(self, job: Contest) -> list[Finalist]:
        """Compares all candidates' outputs with the first's, and times them in turns."""
        options = job.options
        libraries = [_load(code) for code in job.codes]
        first, errors = zip(*self._compared(job, libraries), strict=True)
        watches = [Stopwatch(self._threads) for _ in libraries]
        pairs = zip(libraries, first, watches, strict=True)
        clocks = [
            CpuClock(self._executions(one, job), s, options, watch, self._beside(one, job))
            for one, s, watch in pairs
        ]
        latencies = take_turns(clocks, first, job.repeats, options)
        found = [Finalist(tuple(t), *error) for t, error in zip(latencies, errors, strict=True)]
        shares = [watch.share for watch in watches]
        return [replace(one, disturbed=s) for one, s in zip(found, shares, strict=True)]

    def _compared(
        self, job: Contest, libraries: list[Any]
    ) -> Iterator[tuple[float, tuple[float, float, bool]]]:
        """Yields each library's seconds of one execution, and its errors against the first.

        Every library gets fresh copies of the same inputs. A kept reference stands for the first.
        """
        reference, precision = list[np.ndarray](), layer_precision(job.program)
        if job.reference is not None:
            changed = job.reference.changed
            before = enumerate(self._inputs.arrays(job.program))
            reference = [changed.get(number, array) for number, array in before]
            libraries = libraries[1:]
            yield job.reference.seconds, (0.0, 0.0, True)
        for library in libraries:
            buffers = self._inputs.tensors(job.program, self._device)
            kernel = library["main"]
            with self._beside(library, job)():
                seconds = Stopwatch(self._threads).time(lambda: kernel(*buffers))  # noqa: B023
            outputs = [buffer.numpy() for buffer in buffers]
            reference = reference or outputs
            yield seconds, differences(outputs, reference, precision)

    def _executions(self, library: Any, job: Race | Contest, copy: int = 0) -> Executions:
        """Returns what executes a kernel on the buffers of one of the copies that run at once."""
        return Executions(library, self._arguments(job.program, job.constants, copy))

    def _arguments(self, program: bytes, constants: Constants, copy: int) -> Arguments:
        """Returns what one of the copies that run at once is executed on."""
        buffers = self._inputs.shared(program, self._device, copy, constants.places)
        return self._cold.arguments(program, buffers, constants, copy)

    def _beside(self, library: Any, job: Race | Contest) -> Beside:
        """Returns what makes a context in which the other copies of a kernel run."""
        copies = range(1, 1 + len(self._copies.others))
        others = [self._executions(library, job, copy) for copy in copies]
        return partial(self._copies.running, others)

    def _reference(self, job: Race, seconds: float) -> Reference:
        outputs = [one.numpy() for one in self._inputs.shared(job.program, self._device)]
        pairs = enumerate(zip(outputs, self._inputs.arrays(job.program), strict=True))
        return Reference(seconds, {n: o for n, (o, i) in pairs if not np.array_equal(o, i)})


def _conditions(watch: Stopwatch, lost: float, options: Measuring) -> str:
    """Says as JSON which share of the timings something else took; empty where that is little.

    Args:
        watch: Stopwatch of the timings.
        lost: Seconds of a core that the machine's host had meanwhile; that of which it had most.
        options: Settings of the timings.
    """
    share = watch.share + (lost / watch.seconds if watch.seconds > 0 else 0.0)
    return json.dumps({DISTURBED: round(min(share, 1.0), 3)}) if share > options.disturbed else ""


def _load(code: bytes) -> Any:
    """Loads a candidate from a shared library, or from LLVM IR, which has to be compiled then."""
    import tvm

    with NamedTemporaryFile(suffix=".so" if code.startswith(ELF) else ".ll") as file:
        file.write(code)
        file.flush()
        return tvm.runtime.load_module(file.name)


def timer(given: tuple[TargetKind, Measuring]) -> CpuTimer:
    """Makes the handler in the runner's child, for a kind of target and settings of timing."""
    return CpuTimer(*given)


def timing_environment(threads: int) -> tuple[tuple[str, str], ...]:
    """Returns variables that keep TVM's threads on the cores that their process is bound to.

    By itself, TVM binds them to the machine's first cores, which belong to the builders.
    """
    count = str(threads)
    return (("OMP_NUM_THREADS", count), ("TVM_NUM_THREADS", count), ("TVM_BIND_THREADS", "0"))


def patience(options: Measuring, default: bool, best: float) -> float:
    """Returns the seconds after which a run is stopped; a hopeless candidate need not end."""
    if default:
        return options.default_timeout
    return min(options.run_timeout, options.load_timeout + 2 * options.hopeless * best)


class CpuRunner:
    """Times on this machine, in a warm child bound to ``cores``; see ``Runner``.

    Attributes:
        child: Child that times.
        device: Name of the device in timings.
    """

    def __init__(
        self, kind: TargetKind, options: Measuring, cores: tuple[int, ...], device: str
    ) -> None:
        self.device, self._kind, self._cores = device, kind, cores
        setting = Setting(
            handler="chameleon_ray.compiler.runtime.cpu_runner:timer",
            argument=(kind, options),
            cores=cores,
            memory_bytes=options.memory_bytes,
            environment=timing_environment(len(cores) // options.instances),
        )
        self.child = ChildRunner(setting, options, patience)

    def warm(self) -> None:
        """Waits until the child can time without delay."""
        self.child.warm()

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``Runner``."""
        with turn(self._cores, self.child.options.turn_seconds):
            timing = self.child.run(task, artifact, best)
        return replace(timing, device=self.device)

    def build(self, task: Task, config: Config) -> Artifact:
        """Compiles a configuration where nothing is timed meanwhile; see ``Builder``."""
        job, timeout = Job(task.program, config), self._kind.build_timeout(self.child.options)
        with turn(self._cores, self.child.options.turn_seconds):  # another command may time here
            self.child.renew()
            return artifact_of(self.child.call(job, timeout), config)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """Compares and times artifacts in turns; see ``Runner``."""
        with turn(self._cores, self.child.options.turn_seconds):
            found = self.child.contest(task, artifacts, options)
        return replace(found, device=self.device) if isinstance(found, Timing) else found

    def close(self) -> None:
        self.child.close()
