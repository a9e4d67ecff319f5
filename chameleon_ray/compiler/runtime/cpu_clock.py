"""The clock of a compiled kernel on a CPU, which notices what else runs on its cores."""

import math
from typing import Any

from chameleon_ray.measure.run_delay import Stopwatch
from chameleon_ray.options import Measuring

SHORTEST = 1e-5
"""Least seconds of one execution that are believed before more than one was timed."""


class CpuClock:
    """Gives the seconds of one execution, averaged over ``repeat_seconds``, with each call.

    A timing that waited for a core for a notable share of its time is taken again, for a few times
    at most; the one that waited least counts.
    """

    def __init__(
        self,
        library: Any,
        buffers: list[Any],
        seconds: float,
        options: Measuring,
        watch: Stopwatch,
    ) -> None:
        """Takes the kernel.

        Args:
            library: Compiled code.
            buffers: Arguments of the kernel.
            seconds: Seconds of an earlier execution, from which the number of executions follows.
            options: Settings of the timing, with its least duration.
            watch: Stopwatch of all timings of one job.
        """
        import tvm

        self._buffers, self._options, self._watch = buffers, options, watch
        self._evaluate = library.time_evaluator(
            "main",
            tvm.cpu(),
            number=math.ceil(1.1 * options.repeat_seconds / max(seconds, SHORTEST)),
            repeat=1,
            min_repeat_ms=int(options.repeat_seconds * 1e3),
        )

    def __call__(self) -> float:
        """Times the kernel."""
        found = list[tuple[float, float]]()
        while len(found) <= self._options.again:
            found.append(self._once())
            if found[-1][0] <= self._options.disturbed:
                break
        share, seconds = min(found)
        return self._watch.without(seconds, share)

    def _once(self) -> tuple[float, float]:
        """Times the kernel once; returns the share of the time that it waited, and the seconds."""
        means = list[float]()
        share = self._watch.share_of(
            lambda: means.append(float(self._evaluate(*self._buffers).mean))
        )
        return share, means[0]
