"""The measuring protocols: a task and a configuration in, a measurement, failed or not, out."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Protocol, runtime_checkable

from chameleon_ray.measure.build_balance import BuildBalance
from chameleon_ray.measure.calibration import References
from chameleon_ray.options import Confirming
from chameleon_ray.pool import Lost, Pool, PoolError
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Artifact:
    """What a builder made: code to load where ``status`` is ``ok``, else why there is none.

    Attributes:
        code: Opaque to all but the runner.
        default: It is the task's default schedule.
        status: How the build ended.
        seconds: What it took.
        error: What went wrong, in words.
        resources: What the kernels take of a GPU, as JSON; empty on a CPU.
    """

    code: bytes = b""
    default: bool = False
    status: Status = Status.OK
    seconds: float = 0.0
    error: str = ""
    resources: str = ""


@dataclass(frozen=True)
class Timing:
    """What a runner saw: latencies in seconds where ``status`` is ``ok``, else what went wrong.

    Attributes:
        latencies: Seconds of one execution, one entry per repeat.
        status: How it ended.
        seconds: Loading and timing together.
        timing_seconds: Time in which the device executed the kernel.
        device: What it ran on.
        error: What went wrong, in words.
        conditions: A GPU's clocks and temperature, and what the latencies were multiplied by, as
            JSON; empty on a CPU and where that is 1.
        place: Which of the devices of its type that is; empty where it does not matter.
    """

    latencies: tuple[float, ...] = ()
    status: Status = Status.OK
    seconds: float = 0.0
    timing_seconds: float = 0.0
    device: str = ""
    error: str = ""
    conditions: str = ""
    place: str = ""


@dataclass(frozen=True)
class Finalist:
    """One candidate of a contest: latencies in seconds, and its output against the reference's."""

    latencies: tuple[float, ...]
    max_abs_err: float
    max_rel_err: float
    right: bool


@runtime_checkable
class Builder(Protocol):
    """Compiles; keeps nothing of one job for the next but warmth."""

    def build(self, task: Task, config: Config) -> Artifact:
        """Compiles one configuration; the empty one is the task's default schedule."""
        ...


class Runner(Protocol):
    """Times on one device."""

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact.

        Args:
            task: What it implements.
            artifact: A successful build.
            best: The task's best latency so far in seconds, infinite at first; a candidate
                hopelessly slower may be timed only once.
        """
        ...

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """Compares all artifacts with the first and times them in turns, on one device.

        Returns:
            One finalist per artifact, or the failure of the contest as a whole.
        """
        ...


class CalibratedRunner(Runner, Protocol):
    """A runner whose latencies are comparable with those of others of its pool."""

    def calibrate(self, task: Task, artifact: Artifact, latency: float, place: str) -> str:
        """Times a reference that another runner timed before.

        Args:
            task: What the reference implements.
            artifact: A build that ran on the other runner.
            latency: Seconds that it took there.
            place: The other runner's device.

        Returns:
            What people should know of this runner, as the rest of a sentence; mostly nothing.
        """
        ...


STAND_IN = 1.0
"""Seconds that everything takes that is not timed."""


class NoRunner:
    """Stands in for a device that is not there: to the search, all that compiles is as good."""

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """See ``Runner``; nothing runs."""
        return Timing((STAND_IN,))

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...]:
        """See ``Runner``; nothing is compared."""
        return tuple(Finalist((STAND_IN,), 0.0, 0.0, True) for _ in artifacts)


@dataclass(frozen=True)
class Measurement:
    """One configuration, built and timed; a failed build's status is the timing's, too."""

    artifact: Artifact
    timing: Timing

    @property
    def status(self) -> Status:
        return self.timing.status

    @property
    def error(self) -> str:
        return self.artifact.error or self.timing.error


class Measurer:
    """The one door to hardware: a pool of builders and a pool of runners."""

    def __init__(
        self,
        builders: Pool,
        runners: Pool,
        references: References | None = None,
        balance: BuildBalance | None = None,
    ) -> None:
        """Takes the pools that it measures with.

        Args:
            builders: Do what a ``Builder`` does.
            runners: Do what a ``Runner`` does.
            references: What runners are compared by; they are ``CalibratedRunner`` then.
            balance: Says when runners are to build; they have to be a ``Builder``, too, then.
        """
        self.builders, self.runners, self._balance = builders, runners, balance
        self._references, self._first = references, asyncio.Lock()
        self._compared = references is None or not references.wanted

    async def measure(self, task: Task, config: Config, best: Callable[[], float]) -> Measurement:
        """Builds, and where that succeeds times, one configuration; its faults are values.

        Args:
            task: Whose configuration it is.
            config: The empty one is the default schedule.
            best: Asked, when the build is done, for the task's best latency so far in seconds.
        """
        try:
            artifact = await self._built(task, config)
        except PoolError as error:
            artifact = Artifact(status=Status.CRASH, error=str(error))
        if artifact.status is not Status.OK:
            return Measurement(artifact, Timing(status=artifact.status))
        try:
            timing = await self._timed(task, artifact, best)
        except PoolError as error:
            timing = Timing(status=Status.CRASH, error=str(error))
        except Lost:
            return await self.measure(task, config, best)
        return Measurement(artifact, timing)

    async def _built(self, task: Task, config: Config) -> Artifact:
        """A build, by a builder or by a runner that helps; runners do no default schedules."""
        if self._balance is None or config == DEFAULT:
            return await self.builders.call(Builder.build, task, config)
        async with self._balance.build() as helps:
            pool = self.runners if helps else self.builders
            return await pool.call(Builder.build, task, config)

    async def _timed(self, task: Task, artifact: Artifact, best: Callable[[], float]) -> Timing:
        """A run; one at a time until there is a reference, as no runner was compared before.

        Those are timed with care whatever the task's best latency: nothing may ever beat that of
        an earlier session.
        """
        if not self._compared:
            async with self._first:
                if not self._compared:
                    return await self._run(task, artifact, lambda: inf)
        return await self._run(task, artifact, best)

    async def _run(self, task: Task, artifact: Artifact, best: Callable[[], float]) -> Timing:
        async with self._balance.run() if self._balance else nullcontext():
            limit = best()
            timing = await self.runners.call(Runner.run, task, artifact, limit)
        latency = median(timing.latencies) if timing.status is Status.OK else inf
        careful = latency <= limit or len(timing.latencies) > 1
        latency = latency if careful else inf
        if self._references and self._references.take(task.digest, timing.place, latency):
            try:
                await self.runners.broadcast(
                    CalibratedRunner.calibrate, task, artifact, latency, timing.place
                )
                self._compared = True
            except Lost:
                self._references.drop(task.digest)
        return timing

    def pools(self) -> tuple[Pool, ...]:
        return self.builders, self.runners
