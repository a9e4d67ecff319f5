"""Directories of runs and zoos, and the files in them.

A run's directory holds its identity, records, agents, winners and results. A zoo's directory holds
the runs of its models.
"""

import contextlib
import errno
import json
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from chameleon_ray.agents import Agents
from chameleon_ray.atomic_write import write_whole
from chameleon_ray.database import Database
from chameleon_ray.folder_lock import NAME, seized
from chameleon_ray.record import Record
from chameleon_ray.run_files import FILES, SCHEMA, FolderError, RunFiles, ZooFiles
from chameleon_ray.space import Config

SAME = ("model", "model_digest", "target", "device", "precision", "layout", "spaces")
"""Entries of the identity that must not change between the sessions of a run."""
EARLIER = {"precision": "float32"}
"""Entries that identities of earlier versions do not have, and what they would be."""


def file_name(model: str) -> str:
    """Makes a file's name of a model's; it names nothing outside the folder it is put in."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", model).lstrip(".") or "model"


def directory_name(model: str) -> str:
    """Returns the name of a directory for a model, or for a zoo's file."""
    file = model.endswith((".onnx", ".pt2", ".yaml", ".yml")) or Path(model).is_file()
    return file_name(Path(model).stem if file else model)


class RunFolder(RunFiles):
    """The files of a run under ``path``, which one process holds at a time.

    Attributes:
        identified: Whether this process has found it to be the directory of its own run.
        upgraded: Whether the run was begun with other versions of what its latencies depend on.
    """

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
        super().__init__(path)
        self.identified = self.upgraded = False
        self._demand(existing)
        try:
            self._lock = seized(path / NAME, make=not existing)
            self._demand_still(existing)
            self.database = Database(path / "records")
        except BlockingIOError as error:
            raise FolderError(
                f"Another process is working in {path}; wait for it, or choose another --out."
            ) from error
        except OSError as error:
            advice = "" if error.errno == errno.EINVAL else "; choose another --out"
            raise FolderError(f"Cannot write to {path}: {error.strerror}{advice}.") from error

    def _demand(self, existing: bool) -> None:
        """Demands that the directory holds a run already, or holds nothing of the kind.

        Raises:
            FolderError: It is not so.
        """
        if existing:
            self.demand_begun()
        elif there := self.kinds():
            text = f"{self.path} holds a {there[0]}; add --resume, or choose another --out."
            raise FolderError(text)

    def _demand_still(self, existing: bool) -> None:
        """Demands the same once more, as whoever had the lock may have begun or removed a run."""
        try:
            self._demand(existing)
        except FolderError:
            self._lock.close()
            raise

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
            text = json.dumps({"schema": SCHEMA, **identity}, indent=2, allow_nan=False)
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
        circumstances = known.get("circumstances"), identity.get("circumstances")
        self.identified, self.upgraded = True, circumstances[0] != circumstances[1]

    def save_winners(self, winners: Mapping[str, tuple[Config, float]]) -> None:
        """Keeps every layer's configuration, empty for the default, and latency in seconds.

        In the file, a latency that is not known is null.
        """
        kept = {
            d: (c, latency if isfinite(latency) else None) for d, (c, latency) in winners.items()
        }
        self.write("winners.json", json.dumps(kept, indent=2, allow_nan=False))

    def write(self, name: str, text: str) -> None:
        """Writes a text file, whole or not at all."""
        write_whole(self.path / name, text.encode(), self.path / f".{name}.new")

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
    def device(self) -> str:
        """Device that the run was begun on; empty in a new directory.

        Raises:
            FolderError: The identity is damaged or was written by another version.
        """
        return str((self.identity() or {}).get("device", ""))

    @property
    def agents(self) -> Agents:
        """What the layers' explorers have learnt."""
        return Agents(self.path / "agents")

    def close(self) -> None:
        """Releases the directory; one in which no run was begun is removed again."""
        if not self.begun:
            with contextlib.suppress(OSError):  # where it holds something else it stays
                self.untuned_library.unlink(missing_ok=True)
                (self.path / NAME).unlink()
                self.database.folder.rmdir()
                self.path.rmdir()
        self._lock.close()


class ZooFolder(RunFolder, ZooFiles):
    """The files of a zoo: records and agents of all layers, and a run directory per model."""

    same = ("device", "layout")

    def close(self) -> None:
        if not self.begun:
            with contextlib.suppress(OSError):
                (self.path / "models").rmdir()
        super().close()
