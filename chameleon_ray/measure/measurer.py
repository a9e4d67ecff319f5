"""The protocols of builders and runners, and the measurer that puts a configuration to both."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Protocol, runtime_checkable

from chameleon_ray.measure.build_balance import BuildBalance
from chameleon_ray.measure.calibration import References
from chameleon_ray.measure.kept_builds import KeptBuilds
from chameleon_ray.options import Confirming
from chameleon_ray.pool import Lost, Pool, PoolError
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Artifact:
    """The result of a build: code to load where ``status`` is ``ok``, else the error.

    Attributes:
        code: Compiled code, opaque to all but the runner.
        default: Whether this is the task's default schedule.
        status: Status of the build.
        seconds: Seconds that the build took.
        error: Error in words; empty where there was none.
        resources: Resources of a GPU that the kernels take, as JSON; empty on a CPU.
    """

    code: bytes = b""
    default: bool = False
    status: Status = Status.OK
    seconds: float = 0.0
    error: str = ""
    resources: str = ""


@dataclass(frozen=True)
class Timing:
    """The result of a run: latencies in seconds where ``status`` is ``ok``, else the error.

    Attributes:
        latencies: Seconds of one execution, one entry per repeat.
        status: Status of the run.
        seconds: Seconds of loading and timing together.
        timing_seconds: Seconds in which the device executed the kernel.
        device: Device that the kernel ran on.
        error: Error in words; empty where there was none.
        conditions: A GPU's clocks and temperature, the share of the time that other processes had
            a CPU's cores, and the factor that the latencies were multiplied by unless it is 1, as
            JSON; empty where there is nothing to say.
        place: Device among those of its type; empty where it does not matter.
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
    """One candidate of a contest: latencies in seconds, and errors against the reference.

    Attributes:
        disturbed: Share of the time in which it was timed that other processes had its cores.
    """

    latencies: tuple[float, ...]
    max_abs_err: float
    max_rel_err: float
    right: bool
    disturbed: float = 0.0


@runtime_checkable
class Builder(Protocol):
    """Compiles configurations; one job leaves nothing to the next but a warm process."""

    def build(self, task: Task, config: Config) -> Artifact:
        """Compiles one configuration; the empty one is the task's default schedule."""
        ...


class Runner(Protocol):
    """Times artifacts on one device."""

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact.

        Args:
            task: Task that the artifact implements.
            artifact: A successful build.
            best: Best latency of the task so far in seconds, infinite at first. A hopelessly slower
                candidate may be timed only once.
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
            task: Task that the reference implements.
            artifact: A build that ran on the other runner.
            latency: Seconds that the artifact took there.
            place: Device of the other runner.

        Returns:
            A remark on this runner for people, as the rest of a sentence; mostly empty.
        """
        ...


STAND_IN = 1.0
"""Seconds that stand for the latency of everything where nothing is timed."""


class NoRunner:
    """A runner for runs that only compile: to the search, all that compiles is equally good."""

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
    """The artifact and the timing of a configuration; a failed build gives both its status."""

    artifact: Artifact
    timing: Timing

    @property
    def status(self) -> Status:
        return self.timing.status

    @property
    def error(self) -> str:
        return self.artifact.error or self.timing.error


class Measurer:
    """Measures configurations with a pool of builders and a pool of runners."""

    def __init__(
        self,
        builders: Pool,
        runners: Pool,
        references: References | None = None,
        balance: BuildBalance | None = None,
    ) -> None:
        """Takes the pools that it measures with.

        Args:
            builders: Pool of workers that are a ``Builder`` each.
            runners: Pool of workers that are a ``Runner`` each.
            references: Kernels that compare the runners, each of them a ``CalibratedRunner`` then.
            balance: Says when runners are to build; each of them is a ``Builder``, too, then.
        """
        self.builders, self.runners, self._balance = builders, runners, balance
        self.kept = KeptBuilds[Artifact]()
        self._references, self._first = references, asyncio.Lock()
        self._compared = references is None or not references.wanted

    async def measure(self, task: Task, config: Config, best: Callable[[], float]) -> Measurement:
        """Builds a configuration and times it if that succeeds; its failures are values.

        Args:
            task: Task of the configuration.
            config: Configuration to measure; the empty one is the default schedule.
            best: Called when the build is done; returns the task's best latency in seconds so far.
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
        if timing.status is Status.OK:
            self.kept.keep(task.digest, config, artifact, median(timing.latencies))
        return Measurement(artifact, timing)

    async def _built(self, task: Task, config: Config) -> Artifact:
        """Builds on a builder, or on a runner that helps; runners do no default schedules."""
        if self._balance is None or config == DEFAULT:
            return await self.builders.call(Builder.build, task, config)
        async with self._balance.build() as helps:
            pool = self.runners if helps else self.builders
            return await pool.call(Builder.build, task, config)

    async def _timed(self, task: Task, artifact: Artifact, best: Callable[[], float]) -> Timing:
        """Times an artifact; one at a time until a reference has compared the runners.

        Until then artifacts are timed with care, whatever the task's best latency. Otherwise there
        might be no reference, as perhaps nothing beats the best of an earlier session.
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
