"""Watches a run until it ends, or until the process that works in its directory is gone."""

from pathlib import Path

from chameleon_ray.report.progress import Progress
from chameleon_ray.run_files import FILES, FolderError, RunFiles, ZooFiles
from chameleon_ray.runs.facts import Facts
from chameleon_ray.runs.following import Follower
from chameleon_ray.runs.kept_run import KeptRun, State, kept_run
from chameleon_ray.runs.repeating import going_on
from chameleon_ray.runs.showing import Shown

WELL = (State.VERIFIED, State.DONE)
"""States of runs whose tuned model may be used."""


class Watch:
    """A run that is watched; it may be over already.

    Attributes:
        goes_on: Whether a process worked in the directory at the last look.
    """

    def __init__(self, path: Path) -> None:
        """Looks at the directory for the first time.

        Raises:
            FolderError: It holds no run, or its files are of another version.
        """
        self._path, run = path, kept_run(path)
        if run.fault:
            raise FolderError(run.fault)
        zoo = (path / FILES["zoo"]).exists()
        self._files = ZooFiles(path) if zoo else RunFiles(path)
        self._follower, self.goes_on = Follower(self._files), True

    @property
    def progress(self) -> Progress:
        """Progress of the session under way."""
        return self._follower.progress

    def read(self) -> list[Facts]:
        """Takes the news; afterwards ``goes_on`` tells whether there will be more."""
        held = self._files.held  # before the log, whose last lines come before the end
        added = self._follower.read()
        self.goes_on = held and self._follower.last.text("event") != "ended"
        if not self.goes_on:
            self._follower.settle()
        return added

    def end(self) -> KeptRun:
        """Returns the run as it has ended."""
        return kept_run(self._path, over=True)

    def told(self, run: KeptRun) -> str:
        """Tells how the run ended, in a sentence or two."""
        if run.state in WELL:
            return f"{Shown(run, ()).headline}; {run.state.value}."
        if self._follower.last.text("event") == "ended" and run.text:
            return run.text
        gone = f"The process that worked in {self._path} is gone without a word."
        line = going_on(run)
        return f"{gone} Go on with: {line}" if line else gone
