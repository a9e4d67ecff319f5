"""The jobs that runners have their children do, and the part that all runners have in common.

A job is a frozen dataclass that is sent to the child and runs there on a ``Timer``. The timer
loads, runs and times kernels on a device. A runner owns a ``ChildRunner``, which decides how long
to wait and what becomes of a child that fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Outcome, Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import LONGEST_ERROR, Status
from chameleon_ray.task import Constants, Task

FAILURES = {
    Ending.TIMEOUT: Status.RUN_TIMEOUT,
    Ending.ERROR: Status.RUN_ERROR,
    Ending.CRASH: Status.CRASH,
}
"""Status of a candidate's run, by the ending of the job."""
Patience = Callable[[Measuring, bool, float], float]
"""Gives the seconds that a candidate may run.

It is given the options, whether the candidate is the default, and the best latency in seconds.
"""


@dataclass(frozen=True)
class Reference:
    """The outcome of a slow default schedule, kept so that it need not run again for a contest.

    Attributes:
        seconds: Seconds of its one execution.
        changed: Buffers that it wrote, by their positions.
    """

    seconds: float
    changed: dict[int, np.ndarray]


@dataclass(frozen=True)
class Raced:
    """The result of timing one candidate.

    Attributes:
        latencies: Seconds of one execution, one entry per repeat.
        timing_seconds: Seconds in which the device executed the kernel.
        conditions: Conditions of the GPU, as in ``Timing``.
        reference: Outcome to keep of a default that is too slow to run twice; None for others.
        unavailable: Reason why the vendor's library has no such kernel here, which says nothing
            against the device; empty where it ran.
    """

    latencies: tuple[float, ...]
    timing_seconds: float
    conditions: str = ""
    reference: Reference | None = None
    unavailable: str = ""


class Timer(Protocol):
    """Runs and times kernels on a device, inside a runner's child."""

    def prepare(self, program: bytes, constants: Constants) -> None:
        """Makes a layer's buffers on the device, where they are not there yet."""
        ...

    def race(self, job: "Race") -> Raced:
        """Times one candidate, as often as it deserves."""
        ...

    def contest(self, job: "Contest") -> list[Finalist]:
        """Compares candidates with the first, and times them in turns."""
        ...


@dataclass(frozen=True)
class Inputs:
    """A job that makes a layer's inputs, which takes seconds where they are large."""

    program: bytes
    constants: Constants

    def run(self, timer: Timer) -> None:
        timer.prepare(self.program, self.constants)


@dataclass(frozen=True)
class Race:
    """A job that times one candidate against the ``best`` latency so far, in seconds."""

    program: bytes
    code: bytes
    best: float
    options: Measuring
    constants: Constants
    default: bool = False

    def run(self, timer: Timer) -> Raced:
        return timer.race(self)


@dataclass(frozen=True)
class Contest:
    """A job that compares candidates with the first, the reference, and times them in turns."""

    program: bytes
    codes: tuple[bytes, ...]
    repeats: int
    options: Measuring
    constants: Constants
    reference: Reference | None = None

    def run(self, timer: Timer) -> list[Finalist]:
        return timer.contest(self)


class DeviceLost(IsolateError):
    """The device of a runner cannot be used by any child; a pool replaces the runner."""


class ChildRunner:
    """Has a warm child time candidates, and turns failures into values.

    Attributes:
        options: Settings of the timing.
    """

    def __init__(
        self,
        setting: Setting,
        options: Measuring,
        patience: Patience,
        fragile: bool = False,
        opening: Any = None,
    ) -> None:
        """Starts the child.

        Args:
            setting: Setting of the child, whose handler is a ``Timer`` that is called with jobs.
            options: Settings of the timing.
            patience: Gives the seconds that a candidate may run.
            fragile: Whether the child cannot be used any more once a job has raised.
            opening: Job that a new child does before any other, to open the device; None for none.
        """
        self.options = options
        self._patience, self._fragile, self._opening = patience, fragile, opening
        self._references: dict[str, Reference] = {}
        self._child = Isolate(setting)

    def warm(self) -> None:
        """Waits until the child can time without delay.

        Raises:
            DeviceLost: The device cannot be opened.
        """
        self._child.warm()
        failed = self.open()
        if failed is not None:
            raise DeviceLost(failed.error)

    def open(self) -> Outcome | None:
        """Has a new child open the device; returns the outcome of a failure, else None.

        Its error is a sentence.
        """
        if self._opening is None or not self._child.fresh:
            return None
        opened = self._child.call(self._opening, self.options.context_timeout)
        if opened.ending is Ending.OK:
            return None
        self._child.renew(0)
        if opened.for_user:
            return opened
        said = f"The device cannot be opened ({opened.error}); see what its driver says of it."
        return replace(opened, error=said)

    def close(self) -> None:
        self._child.close()

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``Runner``. The timing names no device."""
        given = (self.options, task.constants, artifact.default)
        job = Race(task.program, artifact.code, best, *given)
        outcome = self._timed(task, job, self._patience(self.options, artifact.default, best))
        if outcome.ending is not Ending.OK:
            return failure(outcome)
        raced: Raced = outcome.value
        if raced.unavailable:
            return Timing(status=Status.INVALID, seconds=outcome.seconds, error=raced.unavailable)
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
        """Compares and times artifacts in turns; see ``Runner``."""
        codes = tuple(artifact.code for artifact in artifacts)
        kept = self._references.get(task.digest)
        given = (self.options, task.constants, kept)
        job = Contest(task.program, codes, options.repeats, *given)
        patience = self.options.run_timeout * options.repeats * (len(codes) - 1)
        outcome = self._timed(task, job, self.options.default_timeout + patience)
        return tuple(outcome.value) if outcome.ending is Ending.OK else failure(outcome)

    def renew(self) -> None:
        """Replaces a child that has done so many jobs that what they left adds up."""
        self._child.renew(self.options.jobs_per_child)

    def call(self, job: Any, timeout: float) -> Outcome:
        """Has the child do any job that its timer can do, once it has opened the device."""
        failed = self.open()
        if failed is not None:
            return failed
        outcome = self._child.call(job, timeout)
        if self._fragile and outcome.ending is Ending.ERROR:
            self._child.renew(0)
        return outcome

    def _timed(self, task: Task, job: Race | Contest, timeout: float) -> Outcome:
        """Does a job; the time to make the layer's inputs, at first, does not count."""
        self.renew()
        made = self.call(Inputs(task.program, task.constants), self.options.default_timeout)
        return self.call(job, timeout) if made.ending is Ending.OK else made


def failure(outcome: Outcome) -> Timing:
    """Returns the timing of a candidate whose job failed."""
    error = outcome.error[:LONGEST_ERROR]
    return Timing(status=FAILURES[outcome.ending], seconds=outcome.seconds, error=error)
