"""Finds the directories of runs and zoos below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from chameleon_ray.run_files import FolderError
from chameleon_ray.runs.kept_run import is_one

RUNS = "runs"
"""Folder that is looked through where none is named; ``tune`` makes its directories there."""
DEPTH = 3
"""Most folders between the one that is looked through and a run."""
MOST = 100_000
"""Most folders that are looked at."""


def found(folder: Path) -> list[Path]:
    """Returns the directories of runs and zoos below a folder, or the folder if it is one.

    No link is followed, hidden folders are left out, and what is in a run's directory is not
    looked at. The models of a zoo are the zoo's.

    Raises:
        FolderError: There is no such folder, it cannot be read, or no run is in it.
    """
    names = demand_folder(folder)
    runs = [folder] if is_one(folder) else list(_below(folder, names, DEPTH, [MOST]))
    if not runs:
        raise FolderError(f"There is no run in {folder}; chameleon tune MODEL makes one in {RUNS}.")
    return runs


def demand_folder(folder: Path) -> list[str]:
    """Returns the names of what is in a folder.

    Raises:
        FolderError: There is no such folder, or it cannot be read.
    """
    try:
        return os.listdir(folder)
    except OSError as error:
        hint = " Give the folder that runs are in." if folder == Path(RUNS) else ""
        raise FolderError(f"{folder} cannot be read: {error.strerror}.{hint}") from error
    except ValueError as error:
        raise FolderError(f"{str(folder)!r} is no folder: {error}.") from error


def _below(folder: Path, names: list[str], depth: int, left: list[int]) -> Iterator[Path]:
    for name in sorted(names):
        path = folder / name
        if name.startswith(".") or path.is_symlink() or not os.path.isdir(path) or not left[0]:
            continue
        left[0] -= 1
        if is_one(path):
            yield path
        elif depth > 1:
            try:
                inside = os.listdir(path)
            except OSError:  # another user's
                continue
            yield from _below(path, inside, depth - 1, left)
