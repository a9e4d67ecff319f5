"""What a runner has its child do, and how it asks: the part that all runners have in common.

A job is a frozen dataclass that crosses to the child and runs there on a ``Timer``. How a kernel is
loaded, run and timed on a device is the timer's; how long to wait and what becomes of a child that
fails is ``ChildRunner``'s, which a runner owns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import Status
from chameleon_ray.task import Task

FAILURES = {
    Ending.TIMEOUT: Status.RUN_TIMEOUT,
    Ending.ERROR: Status.RUN_ERROR,
    Ending.CRASH: Status.CRASH,
}
"""What becomes of a candidate whose run ended so."""
Patience = Callable[[Measuring, bool, float], float]
"""Seconds that a candidate may run: of the options, whether it is the default, the best latency."""


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
class Raced:
    """What timing one candidate came to.

    Attributes:
        latencies: Seconds of one execution, one entry per repeat.
        timing_seconds: Time in which the device executed the kernel.
        conditions: See ``Timing``.
        reference: What the candidate came to, where it is a default that is too slow to run twice.
    """

    latencies: tuple[float, ...]
    timing_seconds: float
    conditions: str = ""
    reference: Reference | None = None


class Timer(Protocol):
    """What runs inside a runner's child: runs and times kernels on its device."""

    def arguments(self, program: bytes) -> list[Any]:
        """The layer's buffers on the device; made by the first call."""
        ...

    def race(self, job: "Race") -> Raced:
        """Times one candidate, as often as it is worth."""
        ...

    def contest(self, job: "Contest") -> list[Finalist]:
        """Compares candidates with the first, and times them in turns."""
        ...


@dataclass(frozen=True)
class Inputs:
    """A layer whose inputs are to be made, which takes seconds where they are large."""

    program: bytes

    def run(self, timer: Timer) -> None:
        timer.arguments(self.program)


@dataclass(frozen=True)
class Race:
    """One candidate to time against the ``best`` latency so far, in seconds."""

    program: bytes
    code: bytes
    best: float
    options: Measuring
    default: bool = False

    def run(self, timer: Timer) -> Raced:
        return timer.race(self)


@dataclass(frozen=True)
class Contest:
    """Candidates to compare with the first, the reference, and to time in turns."""

    program: bytes
    codes: tuple[bytes, ...]
    repeats: int
    options: Measuring
    reference: Reference | None = None

    def run(self, timer: Timer) -> list[Finalist]:
        return timer.contest(self)


class ChildRunner:
    """Has a warm child time, and makes values of what goes wrong; a device's runner owns one.

    Attributes:
        options: How candidates are timed.
    """

    def __init__(
        self, setting: Setting, options: Measuring, patience: Patience, fragile: bool = False
    ) -> None:
        """Starts the child.

        Args:
            setting: Its handler makes a ``Timer`` that is called with jobs.
            options: How candidates are timed.
            patience: How long a candidate may run.
            fragile: The child cannot be used any more once a job has raised.
        """
        self.options = options
        self._patience, self._fragile = patience, fragile
        self._references: dict[str, Reference] = {}
        self._child = Isolate(setting)

    def warm(self) -> None:
        """Waits until it can time without delay."""
        self._child.warm()

    def close(self) -> None:
        self._child.close()

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``measure.Runner``. The timing names no device."""
        job = Race(task.program, artifact.code, best, self.options, artifact.default)
        outcome = self._timed(task, job, self._patience(self.options, artifact.default, best))
        if outcome.ending is not Ending.OK:
            return failure(outcome)
        raced: Raced = outcome.value
        if raced.reference is not None:
            self._references[task.digest] = raced.reference
        return Timing(
            raced.latencies,
            Status.OK,
            outcome.seconds,
            raced.timing_seconds,
            conditions=raced.conditions,
        )

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """Compares and times artifacts in turns; see ``measure.Runner``."""
        codes = tuple(artifact.code for artifact in artifacts)
        kept = self._references.get(task.digest)
        job = Contest(task.program, codes, options.repeats, self.options, kept)
        patience = self.options.run_timeout * options.repeats * (len(codes) - 1)
        outcome = self._timed(task, job, self.options.default_timeout + patience)
        return tuple(outcome.value) if outcome.ending is Ending.OK else failure(outcome)

    def renew(self) -> None:
        """Replaces a child that has done so many jobs that what they left adds up."""
        self._child.renew(self.options.jobs_per_child)

    def call(self, job: Any, timeout: float) -> Outcome:
        """Has the child do any job that its timer can."""
        outcome = self._child.call(job, timeout)
        if self._fragile and outcome.ending is Ending.ERROR:
            self._child.renew(0)
        return outcome

    def _timed(self, task: Task, job: Race | Contest, timeout: float) -> Outcome:
        """A job's outcome; making a layer's inputs, at first, is not on its clock."""
        self.renew()
        made = self.call(Inputs(task.program), self.options.default_timeout)
        return self.call(job, timeout) if made.ending is Ending.OK else made


def failure(outcome: Outcome) -> Timing:
    """The timing of a candidate whose job failed."""
    return Timing(status=FAILURES[outcome.ending], seconds=outcome.seconds, error=outcome.error)
