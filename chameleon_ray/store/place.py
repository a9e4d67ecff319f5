"""A place where entries are kept: a folder, or whatever a URL names that fsspec can open.

A file appears whole or not at all: on a disk it is written under another name, fsynced and renamed;
object stores put whole objects. Every step ends after a while, even where the other side hangs.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from errno import ENOTDIR
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from chameleon_ray.atomic_write import write_whole
from chameleon_ray.cache import cache_folder
from chameleon_ray.errors import UserError
from chameleon_ray.store.key import VERSION

T = TypeVar("T")
ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "r2", "memory"}
"""Protocols that put whole objects; elsewhere a file is renamed once it is whole."""
FLEETING = {"memory"}
"""Protocols whose content ends with the process."""
STALE = 24 * 3600.0
"""Age in seconds of unfinished files that no writer can still be working on."""
BATCH = 32
"""Files that are read in one step."""
PAGE = 4096
"""Bytes of the file that is written as a trial; an empty one would fit on a full disk."""
UNFINISHED = ".new-"
"""Beginning of the name of a file that is being written."""


class PlaceError(UserError):
    """A place that cannot be used, in one sentence that says what to do."""


class Place:
    """Files below a folder or a URL.

    Attributes:
        name: The folder or URL, for people.
        local: Whether it is a folder of this machine, or mounted as one.
        fleeting: Whether its content ends with the process.
        read_only: Whether it is never written.
    """

    def __init__(self, name: str, patience: float, read_only: bool = False) -> None:
        """Opens a place; nothing is read or written yet.

        Args:
            name: A folder, or a URL that fsspec knows.
            patience: Most seconds of each step.
            read_only: Whether it is never written.

        Raises:
            PlaceError: There is no such protocol, or a package for it is missing.
        """
        self.name, self.patience, self.read_only = name, patience, read_only
        try:
            self._files, root = fsspec.core.url_to_fs(name)
        except (ValueError, ImportError, OSError) as error:
            raise PlaceError(
                f"The store {name} cannot be opened ({error}); "
                "give --store a folder, a URL, or none."
            ) from error
        self._root = root.rstrip("/")
        protocols = self._files.protocol
        known = {protocols} if isinstance(protocols, str) else set(protocols)
        self.local = isinstance(self._files, LocalFileSystem)
        self.fleeting, self._atomic = bool(known & FLEETING), bool(known & ATOMIC)

    def names(self, folder: str) -> dict[str, int]:
        """Returns the files below a folder of the place, as name and bytes.

        Raises:
            PlaceError: The place does not answer, or is a file.
        """

        def find() -> dict[str, int]:
            self._files.invalidate_cache()
            if self.local and Path(self._root).is_file():
                raise NotADirectoryError(ENOTDIR, "it is a file, not a folder")
            try:
                found = self._files.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return {}
            root = self._stripped()
            return {
                path.removeprefix(root).lstrip("/"): int(one.get("size") or 0)
                for path, one in found.items()
            }

        return self._within(find, "read")

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Returns the content of files; those that are gone are left out.

        Raises:
            PlaceError: The place does not answer.
        """
        wanted, content = list(names), dict[str, bytes]()
        for start in range(0, len(wanted), BATCH):
            content |= self._read(wanted[start : start + BATCH])
        return content

    def _read(self, names: Iterable[str]) -> dict[str, bytes]:
        paths = {self._path(name): name for name in names}

        def fetch() -> dict[str, bytes]:
            found = self._files.cat(list(paths), recursive=False, on_error="return")
            if not isinstance(found, dict):  # of one path
                found = {next(iter(paths)): found}
            content = {paths[path]: one for path, one in found.items() if path in paths}
            for one in content.values():
                if isinstance(one, Exception) and not isinstance(one, FileNotFoundError):
                    raise one
            return {name: one for name, one in content.items() if isinstance(one, bytes)}

        return self._within(fetch, "read")

    def write(self, name: str, data: bytes) -> None:
        """Adds a file, whole or not at all.

        Raises:
            PlaceError: It cannot be written.
        """
        path = self._path(name)
        self._within(lambda: self._put(path, data), "written")

    def try_writing(self) -> None:
        """Writes a file and removes it again.

        Raises:
            PlaceError: It cannot be written.
        """
        name = f"{VERSION}/{UNFINISHED}{os.getpid()}"
        self.write(name, os.urandom(PAGE))
        self.remove([name])

    def remove(self, names: Iterable[str]) -> None:
        """Removes files; it does not matter if some are gone.

        Raises:
            PlaceError: The place does not answer, or does not allow it.
        """
        paths = [self._path(name) for name in names]

        def drop() -> None:
            for path in paths:
                try:
                    self._files.rm_file(path)
                except FileNotFoundError:
                    continue

        self._within(drop, "written")

    def age(self, name: str) -> float:
        """Returns the seconds since a file was written; 0 where that is not known.

        Raises:
            PlaceError: The place does not answer.
        """

        def modified() -> float:
            try:
                return time.time() - self._files.modified(self._path(name)).timestamp()
            except (NotImplementedError, FileNotFoundError, AttributeError):
                return 0.0

        return self._within(modified, "read")

    def _put(self, path: str, data: bytes) -> None:
        folder, _, file = path.rpartition("/")
        fresh = f"{folder}/{UNFINISHED}{os.getpid()}-{threading.get_ident()}-{file}"
        if self.local:
            Path(folder).mkdir(parents=True, exist_ok=True)
            write_whole(Path(path), data, Path(fresh))
        elif self._atomic:
            self._files.pipe_file(path, data)
        else:
            self._files.makedirs(folder, exist_ok=True)
            self._files.pipe_file(fresh, data)
            self._files.mv(fresh, path)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if self._root or self.local else name  # as in an archive

    def _stripped(self) -> str:
        """The root as listings name it."""
        return str(self._files._strip_protocol(self._root)).rstrip("/")

    def _within(self, step: Callable[[], T], verb: str) -> T:
        """Returns what a step gives.

        It is run in a thread that nothing waits for, as another machine may never answer.

        Raises:
            PlaceError: The step failed or takes too long.
        """
        answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put((True, step()))
            except Exception as error:  # whatever a file system or its network raises
                answers.put((False, error))

        threading.Thread(target=work, daemon=True, name="store").start()
        try:
            done, value = answers.get(timeout=self.patience)
        except queue.Empty:
            raise PlaceError(
                f"The store {self.name} cannot be {verb}: it did not answer in {self.patience:g} s."
            ) from None
        if not done:
            why = getattr(value, "strerror", None) or str(value) or type(value).__name__
            why = str(why).splitlines()[0].rstrip(".")
            raise PlaceError(f"The store {self.name} cannot be {verb}: {why}.") from value
        result: T = value
        return result


def default_folder() -> str:
    """Returns the store in the user's cache directory."""
    return str(cache_folder() / "store")


def entries_below(target: str = "") -> str:
    """Returns the folder of a target's entries; of all entries where there is no target."""
    return f"{VERSION}/{target}" if target else VERSION
