"""A runner that is compared with another one: its own latencies in, that one's out."""

import json
from dataclasses import replace
from math import inf
from statistics import median
from typing import Any

from chameleon_ray.crew import Unfit
from chameleon_ray.measure.calibration import beyond, factor_of, likeliest
from chameleon_ray.measure.measurer import Artifact, Runner, Timing
from chameleon_ray.options import Calibrating
from chameleon_ray.record import Status
from chameleon_ray.task import Task


class CalibrationError(RuntimeError):
    """A device failed at what another one of its type could do."""


class Calibrated:
    """A runner in units of the device that timed the references; else as it is.

    Attributes:
        place: Which device it is, among those of its type.
    """

    def __init__(
        self,
        runner: Runner,
        place: str,
        options: Calibrating = Calibrating(),  # noqa: B008, frozen
    ) -> None:
        self.place = place
        self._runner, self._options = runner, options
        self._ratios: list[float] = []

    @property
    def factor(self) -> float:
        """What its latencies are multiplied by."""
        return factor_of(self._ratios)

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """See ``Runner``."""
        factor = self.factor
        timing = self._runner.run(task, artifact, best / factor)
        return replace(
            timing,
            latencies=tuple(factor * latency for latency in timing.latencies),
            conditions=_noted(timing.conditions, factor),
            place=self.place,
        )

    def calibrate(self, task: Task, artifact: Artifact, latency: float, place: str) -> str:
        """Times a reference, unless it was this device that did so first.

        Args:
            task: What it implements.
            artifact: A build that ran elsewhere.
            latency: Seconds that it took there.
            place: There.

        Returns:
            What people should know of this device, as the rest of a sentence; mostly nothing.

        Raises:
            Unfit: Its latencies are too far from the other's to be mixed with them.
            CalibrationError: The reference does not run here.
        """
        if place == self.place:
            return ""
        self._ratios.append(self._ratio(task, artifact, latency))
        factor, options = self.factor, self._options
        told = f"takes {1 / factor:.2f} times as long as the first one that timed"
        if beyond(factor, options.bound):
            raise Unfit(f"it {told}, which is too far off for their latencies to be mixed")
        notable = beyond(factor, 1 + options.notable)
        return f"{told}; its latencies are multiplied by {factor:.3f}" if notable else ""

    def _ratio(self, task: Task, artifact: Artifact, latency: float) -> float:
        """The other device's latency over this one's; what is far off is timed again."""
        ratios: list[float] = []
        while len(ratios) < self._options.tries:
            timing = self._runner.run(task, artifact, inf)
            if timing.status is not Status.OK:
                raise CalibrationError(
                    f"the reference {task.name} ended in {timing.status}: {timing.error}"
                )
            ratios.append(latency / median(timing.latencies))
            if not beyond(ratios[-1], self._options.bound):
                break
        return likeliest(ratios)

    def __getattr__(self, name: str) -> Any:
        """All else is the runner's own."""
        return getattr(self._runner, name)


def _noted(conditions: str, factor: float) -> str:
    """Conditions with the factor, where it is not 1."""
    if factor == 1:
        return conditions
    return json.dumps({**json.loads(conditions or "{}"), "calibration": round(factor, 6)})
