"""Times compiled candidates on a GPU, one kernel at a time.

The process that times has forked from one that never touched the GPU, and only loads binaries. It
is replaced after anything that goes wrong, as an error of CUDA makes all that follows in it fail.
A new one opens the GPU before it is given a job; where it cannot, the GPU is lost.
"""

from dataclasses import replace

import numpy as np

from chameleon_ray.compiler.gpu_versions import library_versions
from chameleon_ray.compiler.nvidia import BUS_ORDER
from chameleon_ray.compiler.runtime.cuda_timer import Once, Opening, Survey
from chameleon_ray.compiler.runtime.jobs import ChildRunner, DeviceLost, failure
from chameleon_ray.measure.calibrated import Surveyed
from chameleon_ray.measure.isolate import Ending, Setting
from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.task import Task

ENVIRONMENT = (BUS_ORDER, ("TVM_NUM_THREADS", "1"))
"""Environment of the child: CUDA numbers the GPUs as NVML does, and TVM has one thread."""


def patience(options: Measuring, default: bool, best: float) -> float:
    """Returns the seconds after which a run is stopped; default schedules have their own limit."""
    return options.default_timeout if default else options.run_timeout


class Child(ChildRunner):
    """The child, which can be replaced by one that has not opened the GPU yet."""

    def release(self) -> None:
        if not self._child.fresh:
            self._child.renew(0)


class CudaRunner:
    """Times on the GPU that this process sees first, in a child of its own.

    See ``Runner``. An error of CUDA is final for a process, so the child is replaced after any.

    Attributes:
        child: Child that times.
    """

    def __init__(self, options: Measuring, cores: tuple[int, ...] | None = None) -> None:
        self._device = ""
        handler = "chameleon_ray.compiler.runtime.cuda_timer:timer"
        setting = Setting(handler, cores=cores, environment=ENVIRONMENT)
        self.child = Child(setting, options, patience, fragile=True, opening=Opening())

    def warm(self) -> None:
        """Waits until the child has opened the GPU and can time without delay."""
        self.child.warm()

    def survey(self) -> Surveyed:
        """Returns the runner's GPU, or why there is none; see ``Surveyor``."""
        found = self._surveyed()
        self.release()
        libraries = tuple(library_versions().items()) if found.device else ()
        return replace(found, versions=found.versions + libraries)

    def release(self) -> None:
        """Has another child open the GPU when there is a job again; see ``Owner``."""
        self.child.release()

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """Times one artifact; see ``Runner``."""
        timing = self.child.run(task, artifact, best)
        return replace(timing, device=self.device) if timing.latencies else self._failed(timing)

    def contest(
        self, task: Task, artifacts: tuple[Artifact, ...], options: Confirming
    ) -> tuple[Finalist, ...] | Timing:
        """Compares and times artifacts in turns; see ``Runner``."""
        found = self.child.contest(task, artifacts, options)
        return self._failed(found) if isinstance(found, Timing) else found

    def outputs(self, task: Task, artifact: Artifact) -> list[np.ndarray] | Timing:
        """Runs an artifact once on the inputs of all candidates; returns all buffers or failure."""
        job = Once(task.program, artifact.code)
        outcome = self.child.call(job, self.child.options.default_timeout)
        if outcome.ending is not Ending.OK:
            return self._failed(failure(outcome))
        outputs: list[np.ndarray] = outcome.value
        return outputs

    @property
    def device(self) -> str:
        """Name of the GPU; empty where there is none."""
        if not self._device:
            self._surveyed()
        return self._device

    def close(self) -> None:
        self.child.close()

    def _surveyed(self) -> Surveyed:
        outcome = self.child.call(Survey(), self.child.options.context_timeout)
        if outcome.ending is not Ending.OK:
            return Surveyed(error=outcome.error)
        surveyed: Surveyed = outcome.value
        self._device = surveyed.device
        return surveyed

    def _failed(self, timing: Timing) -> Timing:
        """Returns a failure, unless it is the GPU's, which a new child tells by opening it.

        Raises:
            DeviceLost: The GPU cannot be opened any more.
        """
        lost = self.child.open()
        if lost is None:
            return replace(timing, device=self._device)
        raise DeviceLost(f"{self._device or 'the GPU'} cannot be used: {lost.error}")
