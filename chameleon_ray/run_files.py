"""What a directory of a run or a zoo holds, for whoever only reads it.

Nothing is made or changed here, so a run that is under way, or on a file system that cannot be
written, may be looked at. Only who needs a run to stay as it is keeps commands from working in it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from operator import index
from pathlib import Path
from typing import Any

from chameleon_ray import lockfile
from chameleon_ray.errors import UserError
from chameleon_ray.folder_lock import NAME, is_held, shared
from chameleon_ray.space import Config

SCHEMA = 2
TYPES = {
    **dict.fromkeys(("model", "model_digest", "target", "device", "precision", "layout"), str),
    **dict.fromkeys(("spaces", "options", "versions", "lowerings"), dict),
}
"""Types of entries of the identity."""
FILES = {"run": "run.json", "zoo": "zoo.json"}
"""File with a directory's identity, by what the directory holds."""


class FolderError(UserError):
    """A run directory that cannot be used, in one sentence that says what to do."""


def _parsed(file: Path) -> Any:
    """Returns what a file of JSON holds.

    Raises:
        FolderError: It is damaged.
    """
    try:
        return json.loads(file.read_text())
    except (ValueError, RecursionError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FolderError(f"{file} is damaged ({why}); choose another --out.") from error


class RunFiles:
    """The files of a run under ``path``.

    Attributes:
        path: The run directory.
    """

    holds = "run"

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def begun(self) -> bool:
        """Whether the directory has an identity, which it has once there are layers to tune."""
        return (self.path / FILES[self.holds]).exists()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Keeps commands from working in a run's directory for the length of a block.

        Others may do the same at the same time, and the directory need not be writable.

        Raises:
            FolderError: The directory holds no run, or a process works in it.
        """
        self.demand_begun()
        try:
            with shared(self.path / NAME):
                yield
        except BlockingIOError as error:
            raise FolderError(
                f"A process is working in {self.path}; wait for it, and try again."
            ) from error

    def kinds(self) -> list[str]:
        """Returns what the directory holds, of ``run`` and ``zoo``."""
        return [what for what, name in FILES.items() if (self.path / name).exists()]

    def demand_begun(self) -> None:
        """Demands that the directory holds a run, or a zoo where these are a zoo's files.

        Raises:
            FolderError: It does not.
        """
        there, models = self.kinds(), self.path / "models"
        if self.holds in there:
            return
        other = f", but a {there[0]}" if there else ""
        if there == ["zoo"] and models.is_dir():
            names = ", ".join(sorted(str(one) for one in models.iterdir()))
            other += f" (of the runs {names})"
        raise FolderError(
            f"{self.path} holds no {self.holds}{other}; check the path, or begin a new "
            f"{self.holds}."
        )

    @property
    def held(self) -> bool:
        """Whether a process works in the directory."""
        return is_held(self.path / NAME)

    @property
    def library(self) -> Path:
        return self.path / "model.so"

    @property
    def untuned_library(self) -> Path:
        return self.path / "untuned.so"

    @property
    def graphs_library(self) -> Path:
        """The tuned model with graphs, which takes the place of ``library`` or is removed."""
        return self.path / "graphs.so"

    @property
    def libraries(self) -> tuple[Path, Path, Path]:
        """The libraries of a model: tuned, tuned with graphs, and untuned."""
        return self.library, self.graphs_library, self.untuned_library

    @property
    def tvm_database(self) -> Path:
        return self.path / "tvm_db"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def lock(self) -> Path:
        """The winners for version control."""
        return self.path / lockfile.NAME

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def identity(self) -> dict[str, Any] | None:
        """Returns the identity from ``run.json`` (``zoo.json``); None in a new directory.

        Raises:
            FolderError: The file is damaged or was written by another version.
        """
        file = self.path / FILES[self.holds]
        if not self.begun:
            return None
        identity = _parsed(file)
        if not isinstance(identity, dict) or identity.get("schema") != SCHEMA:
            raise FolderError(f"{file} was written by another version; it cannot be used.")
        for key, kind in TYPES.items():
            if not isinstance(identity.get(key, kind()), kind):
                raise FolderError(f"{file} is damaged ({key!r} is wrong); choose another --out.")
        return identity

    def load_winners(self) -> dict[str, tuple[Config, float]]:
        """Returns the winners that ``save_winners`` kept.

        Raises:
            FolderError: The run has not chosen its winners yet.
        """
        file = self.path / "winners.json"
        if not file.exists():
            raise FolderError(f"{self.path} has no winners yet; finish the run with --resume.")
        try:
            return {
                task: (tuple(map(index, config)), inf if latency is None else float(latency))
                for task, (config, latency) in _parsed(file).items()
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise FolderError(f"{file} is damaged ({error}); finish the run again.") from error


def runs_of(path: Path) -> list[Path]:
    """Returns the directories of a run's buckets, the smallest first; its own where it has none."""
    zoo = ZooFiles(path)
    if not zoo.begun or not zoo.library.exists():
        return [path]
    return [zoo.model(name) for name in (zoo.identity() or {}).get("models", {})]


class ZooFiles(RunFiles):
    """The files of a zoo: records and agents of all layers, and a run directory per model."""

    holds = "zoo"

    def model(self, name: str) -> Path:
        """Returns the run directory of a model."""
        return self.path / "models" / name
