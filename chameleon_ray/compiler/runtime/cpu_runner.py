"""Timing: compiled candidates in, latencies out, on the cores that belong to the runner."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np

from chameleon_ray.compiler.codegen.builder import Compiler, Job, artifact_of
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.measure.racing import race, take_turns
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task

ELF = b"\x7fELF"
"""How shared libraries begin."""
FAILURES = {
    Ending.TIMEOUT: Status.RUN_TIMEOUT,
    Ending.ERROR: Status.RUN_ERROR,
    Ending.CRASH: Status.CRASH,
}
"""What becomes of a candidate whose run ended so."""


@dataclass(frozen=True)
class Reference:
    """What a slow default schedule came to, so that it need not run again for a contest.

    Attributes:
        seconds: Of its one execution.
        changed: The buffers that it wrote, by their position.
    """

    seconds: float
    changed: dict[int, np.ndarray]


@dataclass(frozen=True)
class Race:
    """One candidate to time against the ``best`` latency so far, in seconds."""

    program: bytes
    code: bytes
    best: float
    options: Measuring
    default: bool = False


@dataclass(frozen=True)
class Inputs:
    """A layer whose inputs are to be made, which takes seconds where they are large."""

    program: bytes


@dataclass(frozen=True)
class Contest:
    """Candidates to compare with the first, the reference, and to time in turns."""

    program: bytes
    codes: tuple[bytes, ...]
    repeats: int
    options: Measuring
    reference: Reference | None = None


class Timer:
    """What runs inside the runner's child; keeps each layer's inputs."""

    def __init__(self) -> None:
        block_torch()
        import tvm  # noqa: F401  warms the zygote

        self._inputs: dict[bytes, list[np.ndarray]] = {}
        self._buffers: dict[bytes, list[Any]] = {}
        self._compiler: Compiler | None = None

    def __call__(self, job: Job | Inputs | Race | Contest) -> Any:
        if isinstance(job, Job):
            self._compiler = self._compiler or Compiler()
            return self._compiler(job)
        if isinstance(job, Inputs):
            self._arguments(job.program)
            return None
        if isinstance(job, Race):
            return self._race(job)
        return self._contest(job)

    def _race(self, job: Race) -> tuple[tuple[float, ...], float, Reference | None]:
        """Latencies, the seconds the device executed the kernel, a slow default's outputs."""
        buffers = self._arguments(job.program)
        library = _load(job.code)
        kernel = library["main"]
        began = time.perf_counter()
        kernel(*buffers)
        first = time.perf_counter() - began
        if first < job.options.repeat_seconds:  # short: caches were cold, try again
            kernel(*buffers)
            first = time.perf_counter() - began - first
        if first > min(job.options.hopeless * job.best, job.options.long_seconds):
            executing = time.perf_counter() - began
            return (first,), executing, self._reference(job, first) if job.default else None
        latencies = race(_clock(library, buffers, first, job.options), job.best, job.options)
        return latencies, time.perf_counter() - began, None

    def _contest(self, job: Contest) -> list[tuple[tuple[float, ...], float, float, bool]]:
        """Per candidate: latencies, largest absolute and relative error, whether it is right."""
        buffers, options = self._arguments(job.program), job.options
        libraries = [_load(code) for code in job.codes]
        first, errors = zip(*self._compared(job, libraries), strict=True)
        pairs = zip(libraries, first, strict=True)
        clocks = [_clock(library, buffers, seconds, options) for library, seconds in pairs]
        latencies = take_turns(clocks, first, job.repeats, options)
        return [(tuple(t), *error) for t, error in zip(latencies, errors, strict=True)]

    def _compared(
        self, job: Contest, libraries: list[Any]
    ) -> Iterator[tuple[float, tuple[float, float, bool]]]:
        """Each library's seconds, and its output against the first's on the same fresh inputs."""
        reference: list[np.ndarray] = []
        if job.reference is not None:
            changed = job.reference.changed
            reference = [changed.get(n, a) for n, a in enumerate(self._inputs[job.program])]
            libraries = libraries[1:]
            yield job.reference.seconds, (0.0, 0.0, True)
        for library in libraries:
            buffers = self._arguments(job.program, fresh=True)
            began = time.perf_counter()
            library["main"](*buffers)
            seconds = time.perf_counter() - began
            outputs = [buffer.numpy() for buffer in buffers]
            reference = reference or outputs
            absolute, relative, right = zip(*map(difference, outputs, reference), strict=True)
            yield seconds, (max(absolute), max(relative), all(right))

    def _reference(self, job: Race, seconds: float) -> Reference:
        outputs = [buffer.numpy() for buffer in self._buffers[job.program]]
        pairs = enumerate(zip(outputs, self._inputs[job.program], strict=True))
        return Reference(seconds, {n: o for n, (o, i) in pairs if not np.array_equal(o, i)})

    def _arguments(self, program: bytes, fresh: bool = False) -> list[Any]:
        """The layer's buffers, filled at random; ``fresh`` ones are not shared."""
        import tvm

        if program not in self._inputs:
            from chameleon_ray.compiler.spaces.sketch import Program

            rng = np.random.default_rng(0)
            shapes = Program.loads(program).arguments
            self._inputs[program] = [random_array(rng, shape, dtype) for shape, dtype in shapes]
            self._buffers[program] = [tvm.runtime.tensor(a) for a in self._inputs[program]]
        if fresh:
            return [tvm.runtime.tensor(array) for array in self._inputs[program]]
        return self._buffers[program]


def _clock(
    library: Any, buffers: list[Any], seconds: float, options: Measuring
) -> Callable[[], float]:
    """Each call gives the seconds of one execution, averaged over ``repeat_seconds``.

    Args:
        library: Compiled code.
        buffers: Its arguments.
        seconds: What one execution took, to begin with about as many as are needed.
        options: How long a timing is at least.
    """
    import tvm

    evaluate = library.time_evaluator(
        "main",
        tvm.cpu(),
        number=math.ceil(1.1 * options.repeat_seconds / seconds),
        repeat=1,
        min_repeat_ms=int(options.repeat_seconds * 1e3),
    )
    return lambda: float(evaluate(*buffers).mean)


def _load(code: bytes) -> Any:
    """A candidate from a shared library, or from LLVM IR, which takes as long as to compile it."""
    import tvm

    with NamedTemporaryFile(suffix=".so" if code.startswith(ELF) else ".ll") as file:
        file.write(code)
        file.flush()
        return tvm.runtime.load_module(file.name)


def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Floats uniform in [-1, 1), integers and booleans in {0, 1} (valid as indices, too)."""
    if dtype.startswith(("float", "bfloat")):
        return (2 * rng.random(shape, dtype="float32") - 1).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)


def timer(_: None) -> Timer:
    """Factory of the runner's child."""
    return Timer()


def timing_environment(threads: int) -> tuple[tuple[str, str], ...]:
    """What makes TVM's threads stay on the cores that their process is bound to.

    Left alone TVM binds them to the machine's first cores, which belong to the builders.
    """
    count = str(threads)
    return (("OMP_NUM_THREADS", count), ("TVM_NUM_THREADS", count), ("TVM_BIND_THREADS", "0"))


class LocalRunner:
    """Times on this machine, in a warm child bound to ``cores``."""

    def __init__(self, options: Measuring, cores: tuple[int, ...], device: str) -> None:
        self.options, self.device = options, device
        self._references: dict[str, Reference] = {}
        self._child = Isolate(
            Setting(
                handler="chameleon_ray.compiler.runtime.cpu_runner:timer",
                cores=cores,
                memory_bytes=options.memory_bytes,
                environment=timing_environment(len(cores)),
            )
        )

    def warm(self) -> None:
        """Waits until it can time without delay."""
        self._child.warm()

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``measure.Runner``."""
        job = Race(task.program, artifact.code, best, self.options, artifact.default)
        outcome = self._timed(task, job, self._patience(artifact.default, best))
        if outcome.ending is not Ending.OK:
            return self._failure(outcome)
        latencies, timing, reference = outcome.value
        if reference is not None:
            self._references[task.digest] = reference
        return Timing(latencies, Status.OK, outcome.seconds, timing, self.device)

    def build(self, task: Task, config: Config) -> Artifact:
        """Compiles where nothing is timed meanwhile; see ``measure.Builder``."""
        self._child.renew(self.options.jobs_per_child)
        job = Job(task.program, config)
        return artifact_of(self._child.call(job, self.options.build_timeout), config)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """Compares and times artifacts in turns; see ``measure.Runner``."""
        codes = tuple(artifact.code for artifact in artifacts)
        kept = self._references.get(task.digest)
        job = Contest(task.program, codes, options.repeats, self.options, kept)
        patience = self.options.run_timeout * options.repeats * (len(codes) - 1)
        outcome = self._timed(task, job, self.options.default_timeout + patience)
        if outcome.ending is not Ending.OK:
            return self._failure(outcome)
        return tuple(Finalist(*fields) for fields in outcome.value)

    def close(self) -> None:
        self._child.close()

    def _timed(self, task: Task, job: Race | Contest, timeout: float) -> Outcome:
        """A job's outcome; making a layer's inputs, at first, is not on its clock."""
        self._child.renew(self.options.jobs_per_child)
        made = self._child.call(Inputs(task.program), self.options.default_timeout)
        return self._child.call(job, timeout) if made.ending is Ending.OK else made

    def _patience(self, default: bool, best: float) -> float:
        """Seconds after which a run is stopped: a hopeless candidate need not end."""
        options = self.options
        if default:
            return options.default_timeout
        return min(options.run_timeout, options.load_timeout + 2 * options.hopeless * best)

    def _failure(self, outcome: Outcome) -> Timing:
        return Timing(
            (), FAILURES[outcome.ending], outcome.seconds, 0.0, self.device, outcome.error
        )
