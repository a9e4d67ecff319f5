"""The runs below a folder as a page shows them: read again where their files have changed."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from chameleon_ray.run_files import FILES, FolderError, RunFiles, ZooFiles
from chameleon_ray.runs.finding import found
from chameleon_ray.runs.following import Follower
from chameleon_ray.runs.kept_run import KeptRun, State, kept_run
from chameleon_ray.runs.listing import named
from chameleon_ray.runs.showing import Shown, shown

WATCHED = (*FILES.values(), "summary.json", "log.jsonl")
"""Files of a run that change when something happens in it."""
Stamp = tuple[object, ...]


class Gallery:
    """The runs below a folder; several threads may ask at once.

    Attributes:
        folder: Folder that is looked through, whenever somebody asks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._known: dict[Path, tuple[Stamp, KeptRun]] = {}
        self._followers: dict[Path, Follower] = {}

    def runs(self) -> dict[str, KeptRun]:
        """Returns the runs by name, newest first; there may be none yet."""
        with self._lock:
            try:
                paths = found(self.folder)
            except FolderError:
                paths = []
            runs = [run for path in paths if (run := self._run(path)) is not None]
            self._known = {run.path: self._known[run.path] for run in runs}
            ordered = sorted(runs, key=lambda run: (-run.began, str(run.path)))
            return {named(run, self.folder): run for run in ordered}

    def run(self, name: str) -> KeptRun | None:
        """Returns the run of a name in the list; None where there is none."""
        return self.runs().get(name)

    def shown(self, run: KeptRun) -> Shown:
        """Reads all that is shown of a run; the log of a live one is read on from its last look.

        Raises:
            FolderError: Its files are damaged or of another version.
        """
        if run.state is not State.LIVE:
            return shown(run.path)
        with self._lock:
            follower = self._follower(run)
            follower.read()
            return Shown.so_far(run, follower)

    def models(self, run: KeptRun) -> Sequence[str]:
        """Returns the names of a zoo's models that have a directory."""
        folder = run.path / "models"
        if run.holds != "zoo" or folder.is_symlink() or not os.path.isdir(folder):
            return ()
        return [one for one in sorted(os.listdir(folder)) if not (folder / one).is_symlink()]

    def _follower(self, run: KeptRun) -> Follower:
        if run.path not in self._followers:
            kind = ZooFiles if run.holds == "zoo" else RunFiles
            self._followers[run.path] = Follower(kind(run.path))
        return self._followers[run.path]

    def _run(self, path: Path) -> KeptRun | None:
        """Reads a run unless nothing has changed since it was read; None where it is gone."""
        stamp = (RunFiles(path).held, *(_changed(path / name) for name in WATCHED))
        before = self._known.get(path)
        if before is not None and before[0] == stamp:
            return before[1]
        try:
            run = kept_run(path)
        except FolderError:  # it was removed meanwhile
            return None
        self._known[path] = (stamp, run)
        return run


def _changed(file: Path) -> tuple[int, int]:
    try:
        found = os.lstat(file)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
