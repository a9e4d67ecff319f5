"""What a run says of itself, read with care: anybody may have written it, and half of it.

A file is read only if it is a regular one, no link, and not too long. Of what it holds, values of
another type than is asked for count as unknown.
"""

import json
import os
import stat
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import IO, Any

from chameleon_ray.run_files import FolderError
from chameleon_ray.space import Config

MOST_BYTES = 64 << 20
"""Longest file that is read as a whole."""

NONE: Config = (-1,)
"""A configuration that is not known."""


class Facts:
    """A mapping out of a file of JSON; each question names the keys that lead to the value.

    Attributes:
        body: The mapping, or whatever else is in its place.
    """

    def __init__(self, body: object) -> None:
        self.body = body

    def number(self, *keys: str) -> float | None:
        """Returns a finite number; None where there is none."""
        found = self._found(keys)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        try:
            return float(found) if isfinite(found) else None
        except OverflowError:
            return None

    def text(self, *keys: str) -> str:
        """Returns a text on one line; empty where there is none."""
        found = self._found(keys)
        return " ".join(found.split()) if isinstance(found, str) else ""

    def rows(self, *keys: str) -> list["Facts"]:
        """Returns the mappings of a list; empty where there is none."""
        found = self._found(keys)
        listed = found if isinstance(found, list) else []
        return [Facts(one) for one in listed if isinstance(one, dict)]

    def texts(self, *keys: str) -> tuple[str, ...]:
        """Returns the texts of a list; empty where there is none."""
        found = self._found(keys)
        return (
            tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()
        )

    def configuration(self, *keys: str) -> Config:
        """Returns a configuration; one that no space has where there is none."""
        found = self._found(keys)
        whole = isinstance(found, list) and all(type(choice) is int for choice in found)
        return tuple(found) if whole else NONE  # type: ignore[arg-type]

    def items(self, *keys: str) -> dict[str, Any]:
        """Returns a mapping; empty where there is none."""
        found = self._found(keys)
        return found if isinstance(found, dict) else {}

    def _found(self, keys: tuple[str, ...]) -> object:
        body = self.body
        for key in keys:
            body = body.get(key) if isinstance(body, dict) else None
        return body


def parsed(file: Path) -> Facts:
    """Returns what a file of JSON holds; nothing where the file is missing.

    Raises:
        FolderError: It is damaged, or no file to be read.
    """
    try:
        with opened(file) as descriptor:
            return Facts(json.loads(descriptor.read()))
    except FileNotFoundError:
        return Facts({})
    except (ValueError, RecursionError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FolderError(f"{file} cannot be read ({why}); move it away to go on.") from error


def opened(file: Path, most_bytes: int = MOST_BYTES) -> IO[bytes]:
    """Opens a regular file for reading bytes; follows no link there, and waits for no pipe.

    Raises:
        OSError: It is missing, something else, or longer than ``most_bytes``.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most_bytes:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(0, "it is no file" if not stat.S_ISREG(found.st_mode) else "it is too long")


def events(lines: bytes) -> Iterator[Facts]:
    """Returns the events of whole lines of a log; what is no line of JSON is left out."""
    for line in lines.splitlines():
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict):
            yield Facts(body)
