"""Directories of runs and zoos, and the files in them.

A run's directory holds its identity, records, agents, winners and results. A zoo's directory holds
the runs of its models.
"""

import contextlib
import fcntl
import json
import re
from collections.abc import Mapping
from math import inf, isfinite
from operator import index
from pathlib import Path
from typing import Any

from chameleon_ray import lockfile
from chameleon_ray.agents import Agents
from chameleon_ray.atomic_write import write_whole
from chameleon_ray.database import Database
from chameleon_ray.errors import UserError
from chameleon_ray.folder_lock import opened
from chameleon_ray.record import Record
from chameleon_ray.space import Config

SCHEMA = 2
SAME = ("model", "model_digest", "target", "device", "precision", "layout", "spaces")
"""Entries of the identity that must not change between the sessions of a run."""
EARLIER = {"precision": "float32"}
"""Entries that identities of earlier versions do not have, and what they would be."""
TYPES = {
    **dict.fromkeys(("model", "model_digest", "target", "device", "precision", "layout"), str),
    **dict.fromkeys(("spaces", "options", "versions", "lowerings"), dict),
}
"""Types of entries of the identity."""
FILES = {"run": "run.json", "zoo": "zoo.json"}
"""File with a directory's identity, by what the directory holds."""


def file_name(model: str) -> str:
    """Makes a file's name of a model's; it names nothing outside the folder it is put in."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", model).lstrip(".") or "model"


def directory_name(model: str) -> str:
    """Returns the name of a directory for a model, or for a zoo's file."""
    file = model.endswith((".onnx", ".pt2", ".yaml", ".yml")) or Path(model).is_file()
    return file_name(Path(model).stem if file else model)


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


class RunFolder:
    """The files of a run under ``path``, which one process holds at a time.

    Attributes:
        identified: Whether this process has found it to be the directory of its own run.
    """

    holds = "run"
    same: tuple[str, ...] = SAME

    def __init__(self, path: Path, existing: bool) -> None:
        """Makes the directory where it is missing, and locks it.

        Args:
            path: The run directory.
            existing: Whether the directory must hold a run already, or must not.

        Raises:
            FolderError: The directory cannot be written, another process works in it, or it holds
                a run where it must not or none where it must.
        """
        there = [what for what, name in FILES.items() if (path / name).exists()]
        if existing and self.holds not in there:
            other = f", but a {there[0]}" if there else ""
            raise FolderError(
                f"{path} holds no {self.holds} to go on with{other}; check the path, or begin "
                f"a new {self.holds}."
            )
        if not existing and there:
            raise FolderError(f"{path} holds a {there[0]}; add --resume, or choose another --out.")
        self.path, self.identified = path, False
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = opened(path / ".lock")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.database = Database(path / "records")
        except BlockingIOError as error:
            raise FolderError(
                f"Another process is working in {path}; wait for it, or choose another --out."
            ) from error
        except OSError as error:
            raise FolderError(f"Cannot write to {path}: {error.strerror}.") from error

    @property
    def begun(self) -> bool:
        """Whether the directory has an identity, which it has once there are layers to tune."""
        return (self.path / FILES[self.holds]).exists()

    @property
    def device(self) -> str:
        """Device that the run was begun on; empty in a new directory.

        Raises:
            FolderError: The identity is damaged or was written by another version.
        """
        return str((self.identity() or {}).get("device", ""))

    @property
    def library(self) -> Path:
        return self.path / "model.so"

    @property
    def untuned_library(self) -> Path:
        return self.path / "untuned.so"

    @property
    def library_state(self) -> str:
        """What the tuned library is worth, as the rest of a sentence; it is whole, or not there."""
        if not self.library.exists():
            return "and no library yet"
        made = self.library.stat().st_mtime
        if self.summary.exists() and self.summary.stat().st_mtime >= made:
            return "and the library of an earlier session"
        return "and a library that was not verified"

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

    def resume(self, identity: Mapping[str, Any]) -> list[Record]:
        """Returns the records of earlier sessions; gives a new directory its identity.

        Raises:
            FolderError: The directory is another run's, or its identity cannot be read.
            DatabaseError: The records cannot be read.
        """
        self.identify(identity)
        return self.database.read()

    def identify(self, identity: Mapping[str, Any]) -> None:
        """Compares the directory's identity with this one; a new directory is given it.

        Args:
            identity: Identity of this run; the keys in ``same`` decide whether the runs are equal.

        Raises:
            FolderError: The directory is another run's, or its identity cannot be read.
        """
        known = self.identity()
        if known is None:
            text = json.dumps({"schema": SCHEMA, **identity}, indent=2)
            self.write(FILES[self.holds], text)
            self.identified = True
            return
        for key in self.same:
            before = known.get(key, EARLIER.get(key))
            if before == identity[key]:
                continue
            if key == "spaces":
                raise FolderError(
                    f"{self.path} is a run of other layers, or of others' design spaces; resume it "
                    "with the options and the version it was begun with, or choose another --out."
                )
            raise FolderError(
                f"{self.path} is a {self.holds} of another {key.replace('_', ' ')} "
                f"({before}, now {identity[key]}); choose another --out."
            )
        self.identified = True

    def save_winners(self, winners: Mapping[str, tuple[Config, float]]) -> None:
        """Keeps every layer's configuration, empty for the default, and latency in seconds.

        In the file, a latency that is not known is null.
        """
        kept = {
            d: (c, latency if isfinite(latency) else None) for d, (c, latency) in winners.items()
        }
        self.write("winners.json", json.dumps(kept, indent=2, allow_nan=False))

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

    def write(self, name: str, text: str) -> None:
        """Writes a text file, whole or not at all."""
        write_whole(self.path / name, text.encode(), self.path / f".{name}.new")

    @property
    def agents(self) -> Agents:
        """What the layers' explorers have learnt."""
        return Agents(self.path / "agents")

    def close(self) -> None:
        """Releases the directory; one in which no run was begun is removed again."""
        if not self.begun:
            with contextlib.suppress(OSError):  # where it holds something else it stays
                self.untuned_library.unlink(missing_ok=True)
                (self.path / ".lock").unlink()
                self.database.folder.rmdir()
                self.path.rmdir()
        self._lock.close()


class ZooFolder(RunFolder):
    """The files of a zoo: records and agents of all layers, and a run directory per model."""

    holds = "zoo"
    same = ("device", "layout")

    def model(self, name: str) -> Path:
        """Returns the run directory of a model."""
        return self.path / "models" / name

    def close(self) -> None:
        if not self.begun:
            with contextlib.suppress(OSError):
                (self.path / "models").rmdir()
        super().close()
