"""The libraries of NVIDIA's driver, which may be off the loader's path, as in many containers."""

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDERS = (
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib64/nvidia",
    "/usr/lib/nvidia",
    "/run/opengl-driver/lib",
)
"""Folders in which container runtimes, WSL and distributions put the driver's libraries."""


def load(
    name: str, folders: Sequence[str] = FOLDERS, mode: int = ctypes.DEFAULT_MODE
) -> ctypes.CDLL:
    """Loads a library of the driver, by the loader's path or else from one of the folders.

    Raises:
        OSError: It cannot be loaded; the text says in one clause where it was looked for.
    """
    troubles: list[str] = []
    for path in (name, *_there(name, folders)):
        try:
            return ctypes.CDLL(path, mode=mode)
        except OSError as error:
            troubles.append(str(error))
    if len(troubles) > 1:  # a file that is there, and why it is of no use
        raise OSError(troubles[1])
    raise OSError(f"{name} is neither on the loader's path nor in {', '.join(folders)}")


def _there(name: str, folders: Sequence[str]) -> Iterator[str]:
    """Yields the library's file in each folder that has it; a path is in none of them."""
    if "/" not in name:
        yield from (str(Path(folder, name)) for folder in folders if Path(folder, name).exists())
