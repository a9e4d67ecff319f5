"""A runner whose latencies are converted into those of the device of the references."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from math import inf
from statistics import median
from typing import Protocol, runtime_checkable

from chameleon_ray.measure.bench import Bench, Duel, Profile, Question
from chameleon_ray.measure.calibration import beyond, factor_of, likeliest
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.measure.measurer import Artifact, Builder, Finalist, Runner, Timing
from chameleon_ray.options import Calibrating, Confirming
from chameleon_ray.record import Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Surveyed:
    """A runner's device: its target as JSON and its name, or why there is none.

    Attributes:
        target: Target of the device, as JSON.
        device: Name of the device.
        error: Reason why there is no device; empty where there is one.
        lacking: Vendor's libraries (``vendor.py``) that cannot be used there, each with a sentence
            that says why.
        versions: Versions of the driver and of the vendor's libraries there, each with its name.
    """

    target: str = ""
    device: str = ""
    error: str = ""
    lacking: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class Surveyor(Protocol):
    """A runner that says what device it times on."""

    def survey(self) -> Surveyed:
        """Returns the device, or why there is none."""
        ...


@runtime_checkable
class Owner(Protocol):
    """A runner that keeps its device open between jobs."""

    def release(self) -> None:
        """Lets go of the device until the next job."""
        ...


class Calibrated:
    """A runner that gives latencies as the device that timed the references would.

    Attributes:
        place: Device of the runner, among those of its type.
    """

    def __init__(
        self,
        runner: Runner,
        place: str,
        options: Calibrating = Calibrating(),  # noqa: B008, frozen
        models: Bench | None = None,
        freezer: Freezer | None = None,
    ) -> None:
        """Makes a runner that was not compared yet.

        Args:
            runner: Times layers on the device.
            place: Device of the runner, among those of its type.
            options: Settings of the comparison.
            models: Runs whole models on the device; None where ``bench`` is not called.
            freezer: Freezer of the processes that would share the device's cores with a kernel;
                None where none does.
        """
        self.place = place
        self._runner, self._options, self._models = runner, options, models
        self._ratios: list[float] = []
        self._freezer = freezer
        if freezer is not None:
            freezer.thaw()

    @property
    def factor(self) -> float:
        """Factor that the device's latencies are multiplied by."""
        return factor_of(self._ratios, self._options.notable)

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """See ``Runner``."""
        factor = self.factor
        with self._alone():
            timing = self._runner.run(task, artifact, best / factor)
        return replace(
            timing,
            latencies=_scaled(timing.latencies, factor),
            conditions=_noted(timing.conditions, factor),
            place=self.place,
        )

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """See ``Runner``; converts latencies, as a winner is compared with records of others."""
        with self._alone():
            found = self._runner.contest(task, artifacts, options)
        if isinstance(found, Timing):
            return found
        factor = self.factor
        return tuple(replace(one, latencies=_scaled(one.latencies, factor)) for one in found)

    def bench(self, question: Question, contents: tuple[bytes, ...]) -> Outcome:
        """See ``Bench.ask``; converts latencies, as models are compared with their layers.

        The runner lets go of its device, which may have no room for two, or allow only one.
        """
        assert self._models is not None
        if isinstance(self._runner, Owner):
            self._runner.release()
        with self._alone():
            outcome = self._models.ask(question, contents)
        if outcome.ending is not Ending.OK:
            return outcome
        if isinstance(question, Duel):
            return replace(outcome, value=[_scaled(one, self.factor) for one in outcome.value])
        if isinstance(question, Profile):
            found = [{name: self.factor * s for name, s in one.items()} for one in outcome.value]
            return replace(outcome, value=found)
        return outcome

    def close(self) -> None:
        """Ends the runner and the bench of whole models."""
        for one in (self._runner, self._models, self._freezer):
            if one is not None and hasattr(one, "close"):
                one.close()

    def calibrate(self, task: Task, artifact: Artifact, latency: float, place: str) -> str:
        """Times a reference, unless this device was the first to time it.

        A reference that does not run here says nothing about this device's latencies.

        Args:
            task: Task that the reference implements.
            artifact: A build that ran on the other device.
            latency: Seconds that the artifact took there.
            place: The other device.

        Returns:
            A remark on this device for people, as the rest of a sentence; mostly empty.
        """
        if place == self.place:
            return ""
        self._ratios += self._ratio(task, artifact, latency)
        if self.factor == 1:
            return ""
        times = f"{1 / self.factor:.2f} times as long as the first one that timed"
        return f"takes about {times}, for which its latencies are corrected"

    def _alone(self) -> AbstractContextManager[None]:
        """Gives the device's cores to what is timed in a ``with`` block."""
        return self._freezer.frozen() if self._freezer is not None else nullcontext()

    def _ratio(self, task: Task, artifact: Artifact, latency: float) -> list[float]:
        """Returns the other device's latency over this one's; nothing where a run fails.

        A ratio that is far from 1 is taken again.
        """
        ratios: list[float] = []
        while len(ratios) < self._options.tries:
            with self._alone():
                timing = self._runner.run(task, artifact, inf)
            if timing.status is not Status.OK:
                return []
            ratios.append(latency / median(timing.latencies))
            if not beyond(ratios[-1], self._options.notable):
                break
        return [likeliest(ratios)]

    def build(self, task: Task, config: Config) -> Artifact:
        """Compiles while there is nothing to time; the runner has to be a ``Builder``, too."""
        assert isinstance(self._runner, Builder)
        return self._runner.build(task, config)

    def survey(self) -> Surveyed:
        """Returns the device that the runner times on; the runner has to be a ``Surveyor``."""
        assert isinstance(self._runner, Surveyor)
        return self._runner.survey()


def _scaled(latencies: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(factor * latency for latency in latencies)


def _noted(conditions: str, factor: float) -> str:
    """Adds the factor to the conditions, where it is not 1."""
    if factor == 1:
        return conditions
    return json.dumps({**json.loads(conditions or "{}"), "calibration": round(factor, 6)})
