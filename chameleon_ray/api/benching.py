"""Benching on runners: questions about whole models in, the answers of a crew's runners out."""

import asyncio
from pathlib import Path

from chameleon_ray.crew import Crew, CrewError, Lost, NoWorkers
from chameleon_ray.measure.bench import Question
from chameleon_ray.measure.isolate import Ending, Outcome


class RunnersBench:
    """Answers where the layers were timed; see ``measure.Bench``.

    It is asked from threads other than the event loop's, in which it is made.
    """

    def __init__(self, runners: Crew) -> None:
        """Takes runners that are ``Calibrated``."""
        self._runners, self._loop = runners, asyncio.get_running_loop()

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """A runner's answer; the libraries are sent along.

        Raises:
            CancelledError: Of ``concurrent.futures``: the event loop ended.
        """
        contents = contents or tuple(Path(file).read_bytes() for file in question.libraries)
        asking = self._runners.do("bench", question, contents)
        try:
            outcome: Outcome = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except (CrewError, Lost, NoWorkers) as error:
            return Outcome(Ending.CRASH, error=str(error))
        return outcome

    def close(self) -> None:
        """The runners end with their crew."""
