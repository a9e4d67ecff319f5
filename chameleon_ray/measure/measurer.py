"""The measuring protocols: a task and a configuration in, what came of it out; failures are values."""

from dataclasses import dataclass
from typing import Protocol

from chameleon_ray.record import Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Artifact:
    """What a builder made: code ready to load where ``status`` is ``ok``, else why there is none."""

    code: bytes = b""
    status: Status = Status.OK
    seconds: float = 0.0
    error: str = ""


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
    """

    latencies: tuple[float, ...] = ()
    status: Status = Status.OK
    seconds: float = 0.0
    timing_seconds: float = 0.0
    device: str = ""
    error: str = ""


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


@dataclass(frozen=True)
class Measurement:
    """One configuration, built and timed (or not)."""

    artifact: Artifact
    timing: Timing

    @property
    def status(self) -> Status:
        return self.artifact.status if self.artifact.status is not Status.OK else self.timing.status


class Measurer(Protocol):
    """Builds and times configurations; many calls may be awaited at once."""

    async def measure(self, task: Task, config: Config, best: float) -> Measurement:
        """Builds, and where that succeeds times, one configuration. Never raises for its faults."""
        ...
