"""A bench on a cluster: whole models are run by the runners that timed the layers."""

import asyncio
from pathlib import Path

from chameleon_ray.measure.bench import Question
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.pool import Lost, NoWorkers, Pool, PoolError


class RunnersBench:
    """Answers questions on the runners that timed the layers; see ``measure.bench.Bench``.

    It is made in the event loop's thread, and asked from other threads.
    """

    def __init__(self, runners: Pool) -> None:
        """Takes a pool of runners that are ``Calibrated``."""
        self._runners, self._loop = runners, asyncio.get_running_loop()

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """Asks a runner, and sends it the libraries; see ``Bench.ask``.

        Raises:
            concurrent.futures.CancelledError: The event loop ended.
        """
        contents = contents or tuple(Path(file).read_bytes() for file in question.libraries)
        asking = self._runners.call(Calibrated.bench, question, contents)
        try:
            outcome: Outcome = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except (PoolError, Lost, NoWorkers) as error:
            return Outcome(Ending.CRASH, error=str(error))
        return outcome

    def close(self) -> None:
        """Does nothing, as the runners end with their pool."""
