"""Where the processes of one user on one machine find each other: a directory of theirs alone.

It lies in the machine's temporary directory, and holds the locks of cores and GPUs, the list of
commands, and the freezers. Nobody else can put anything there, or open a lock to keep others away.
Machines that share their temporary directory have one each. Whoever leaves last removes it.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from chameleon_ray.folder_lock import abandoned, opened, seized
from chameleon_ray.measure.cores import machine
from chameleon_ray.measure.scratch import is_own, is_private, machine_folder

TRIES = 100
"""Most times that the directory is made again, as others remove it when they leave."""


def place() -> Path:
    """Returns the path of the directory, which may be missing, or somebody else's.

    The machine is told by its last start, as containers on it have names of their own.
    """
    start = machine().rpartition(" ")[2]
    return machine_folder() / f"chameleon-{os.getuid()}-{start}.locks"


def found(folder: str = "") -> list[Path]:
    """Returns what is in the directory, or in a folder of it; nothing of somebody else's."""
    within, names = place() / folder, list[str]()
    with suppress(OSError):  # others remove what nobody needs
        names = os.listdir(within) if is_own(place()) and is_own(within) else []
    return sorted(within / name for name in names)


def lock(name: str, how: Callable[[Path], IO[str]] = opened) -> IO[str]:
    """Opens a lock file of the directory, and makes what is missing.

    Args:
        name: Its path below the directory, with one folder at most.
        how: Opens it: ``opened``, or ``seized``, which also holds it and may raise
            ``BlockingIOError``.

    Raises:
        OSError: The directory is not this user's alone, or cannot be written.
    """
    path = place() / name
    for left in reversed(range(TRIES)):
        try:
            for folder in (place(), path.parent):
                with suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
            if not is_private(place().lstat()):
                break
            return how(path)
        except FileNotFoundError:  # whoever left last has removed the directory
            if not left:
                raise
    raise PermissionError(errno.EPERM, "not a directory of this user alone", str(place()))


def unusable() -> str:
    """Says why processes cannot find each other; empty where they can."""
    try:
        lock(f"{os.getpid()}.trial", seized).close()
    except OSError as error:
        return f"{place()}: {error.strerror}"
    with suppress(OSError):
        os.unlink(place() / f"{os.getpid()}.trial")
    leave()
    return ""


def leave(folder: str = "") -> None:
    """Removes a folder of the directory, and the directory, where nobody needs them any more."""
    for left in dict.fromkeys((place() / folder, place())):
        with suppress(OSError):
            left.rmdir()


def sweep() -> None:
    """Removes what processes left that were killed."""
    for path in found():
        for one in (path, *found(path.name)):
            with suppress(OSError):  # a folder
                abandoned(one)
        leave(path.name)
