"""The clock of a compiled kernel on a CPU, which notices what else runs on its cores."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from chameleon_ray.compiler.runtime.cold_weights import Executions
from chameleon_ray.measure.run_delay import Stopwatch
from chameleon_ray.options import Measuring

Beside = Callable[[], AbstractContextManager[None]]

SHORTEST = 1e-5
"""Least seconds of one execution that are believed before more than one was timed."""


class CpuClock:
    """Gives the seconds of one execution, averaged over ``repeat_seconds``, with each call.

    A timing that waited for a core for a notable share of its time is taken again, for a few times
    at most; the one that waited least counts.
    """

    def __init__(
        self,
        executions: Executions,
        seconds: float,
        options: Measuring,
        watch: Stopwatch,
        beside: Beside = nullcontext,
    ) -> None:
        """Takes the kernel.

        Args:
            executions: Executes the kernel.
            seconds: Seconds of an earlier execution, from which the number of executions follows.
            options: Settings of the timing, with its least duration.
            watch: Stopwatch of all timings of one job.
            beside: Makes a context in which other copies of the kernel run.
        """
        self._executions, self._options = executions, options
        self._watch, self._beside = watch, beside
        self._number = self._enough(max(seconds, SHORTEST))

    def __call__(self) -> float:
        """Times the kernel."""
        found = list[tuple[float, float]]()
        with self._beside():
            while len(found) <= self._options.again:
                found.append(self._once())
                if found[-1][0] <= self._options.disturbed:
                    break
        return min(found)[1]

    def _enough(self, seconds: float) -> int:
        """Returns the number of executions, of so many seconds each, that make a timing."""
        return math.ceil(1.1 * self._options.repeat_seconds / seconds)

    def _once(self) -> tuple[float, float]:
        """Times the kernel once; returns the share of the time that it waited, and the seconds.

        TVM may execute it once more than it times. Waiting is taken off as far as it cannot have
        been meanwhile.
        """
        while True:
            number, means = self._number, list[float]()
            passed, waited = self._watch.seconds, self._watch.waited
            share = self._watch.share_of(
                lambda: means.append(self._executions.mean(number))  # noqa: B023
            )
            passed, waited = self._watch.seconds - passed, self._watch.waited - waited
            timed = number * means[0]
            if timed >= self._options.repeat_seconds or self._enough(means[0]) <= number:
                return share, self._watch.undisturbed(timed, passed, waited) / number
            self._number = self._enough(means[0])
