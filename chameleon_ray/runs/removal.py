"""Removes runs: the files that a run leaves, and nothing else that may be in its directory."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.folder_lock import NAME, seized
from chameleon_ray.run_files import FILES, FolderError
from chameleon_ray.runs.kept_run import is_one, size_of

PARTS = (
    *("records", "agents", "winners.json", "chameleon.lock", "tvm_db", "model.so", "graphs.so"),
    *("untuned.so", "summary.json", "report.html", "log.jsonl", "applied", *FILES.values(), NAME),
)
"""What a run leaves in its directory, in the order in which it is removed.

What makes the directory a run's, and the lock, come last. A zoo leaves its models', too.
"""
MODELS = "models"


@dataclass(frozen=True)
class Removed:
    """What came of removing a run.

    Attributes:
        path: The directory.
        freed: Bytes that were freed.
        kept: Names of what no run has left there, for which the directory stays.
    """

    path: Path
    freed: int
    kept: tuple[str, ...]


def demand_removable(path: Path) -> None:
    """Checks that a directory is one of a run or a zoo, in which nobody works.

    Raises:
        FolderError: It is not, or it is a link, or a model of a zoo.
    """
    if path.is_symlink():
        raise FolderError(f"{path} is a link; name the directory itself to remove it.")
    if not is_one(path):
        raise FolderError(f"{path} holds no run, so nothing in it is removed.")
    zoo = path.resolve().parent.parent
    if path.resolve().parent.name == MODELS and os.path.isfile(zoo / FILES["zoo"]):
        raise FolderError(f"{path} is a part of the zoo in {zoo}; remove that as a whole.")
    with _held(path):
        pass


def remove(path: Path) -> Removed:
    """Removes what a run or a zoo has left in a directory, and the directory if it is empty then.

    Links are removed themselves, and never what they lead to.

    Raises:
        FolderError: ``demand_removable`` does, or the files cannot be removed.
    """
    demand_removable(path)
    before = size_of(path)
    try:
        with _held(path):
            for model in _models(path):
                _clear(model)
            _clear(path)
    except OSError as error:
        where = error.filename or path
        raise FolderError(f"{where} cannot be removed: {error.strerror}.") from error
    kept = tuple(sorted(os.listdir(path))) if path.exists() else ()
    return Removed(path, before - size_of(path), kept)


def _models(path: Path) -> list[Path]:
    """Returns the directories of a zoo's models."""
    folder = path / MODELS
    if folder.is_symlink() or not os.path.isfile(path / FILES["zoo"]):
        return []
    with suppress(FileNotFoundError, NotADirectoryError):
        return [one for one in folder.iterdir() if not one.is_symlink() and one.is_dir()]
    return []


def _clear(path: Path) -> None:
    """Removes the parts of a run, and what was half written of them."""
    for name in PARTS:
        for part in (*path.glob(f".{name}.*"), path / name):
            if not part.is_symlink() and part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
    for folder in (path / MODELS, path):
        with suppress(OSError):  # it is not there, or something else is in it
            folder.rmdir()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Holds a directory, so that no command begins to work in it.

    Raises:
        FolderError: A process works in it, or it cannot be written.
    """
    try:
        with seized(path / NAME):
            yield
    except BlockingIOError as error:
        raise FolderError(f"{path} is live: a process works in it; stop that first.") from error
    except OSError as error:
        raise FolderError(f"{path} cannot be removed: {error.strerror}.") from error
