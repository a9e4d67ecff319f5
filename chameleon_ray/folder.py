"""The run directory: options and identity in ``run.json``, records, agents, winners, results."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chameleon_ray.database import Database

SCHEMA = 1


class FolderError(Exception):
    """A run directory that cannot be used, in one sentence that says what to do."""


class RunFolder:
    """One run's files under ``path``; held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Makes the directory where it is missing, and locks it.

        Raises:
            FolderError: It cannot be written, or another process works in it.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderError(
                f"Another process is working in {path}; wait for it, or choose another --out."
            ) from error
        except OSError as error:
            raise FolderError(f"Cannot write to {path}: {error.strerror}.") from error
        self.database = Database(path / "records")

    @property
    def library(self) -> Path:
        return self.path / "model.so"

    @property
    def untuned_library(self) -> Path:
        return self.path / "untuned.so"

    @property
    def tvm_database(self) -> Path:
        return self.path / "tvm_db"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def identity(self) -> dict[str, Any] | None:
        """What ``run.json`` says; None in a new directory.

        Raises:
            FolderError: It is not a run's.
        """
        file = self.path / "run.json"
        if not file.exists():
            return None
        try:
            identity = json.loads(file.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise FolderError(f"{file} is damaged ({error}); choose another --out.") from error
        if not isinstance(identity, dict) or identity.get("schema") != SCHEMA:
            raise FolderError(f"{file} was written by another version; choose another --out.")
        return identity

    def identify(self, identity: Mapping[str, Any]) -> None:
        """Writes ``run.json``."""
        self.write("run.json", json.dumps({"schema": SCHEMA, **identity}, indent=2))

    def write(self, name: str, text: str) -> None:
        """Writes a text file, whole or not at all."""
        temporary = self.path / f".{name}.new"
        with temporary.open("w") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.rename(self.path / name)

    def save_agent(self, task: str, agent: Mapping[str, np.ndarray]) -> None:
        """Keeps a task's explorer state, for ``--resume``."""
        if not agent:
            return
        folder = self.path / "agents"
        folder.mkdir(exist_ok=True)
        temporary = folder / f".{task}.npz"
        with temporary.open("wb") as sink:
            np.savez(sink, **agent)  # type: ignore[arg-type]
        temporary.rename(folder / f"{task}.npz")

    def load_agent(self, task: str) -> dict[str, np.ndarray]:
        """A task's explorer state; empty where none was kept. Reads arrays only, runs nothing."""
        file = self.path / "agents" / f"{task}.npz"
        if not file.exists():
            return {}
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def close(self) -> None:
        self._lock.close()
