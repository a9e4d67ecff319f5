"""JSON files of ``gpu_check.py``: entries by name, and the file is written anew after each."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

LONGEST = 300
"""Most characters of an error."""


class Report:
    """Entries of one file. Those that are there when it is opened are not made again."""

    def __init__(self, path: Path) -> None:
        """Opens a file, which need not exist yet.

        Raises:
            json.JSONDecodeError: It is no JSON file.
        """
        self.path = path
        self.fields: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def entry(self, names: tuple[str, ...], work: Callable[[], Any]) -> Any:
        """Enters what ``work`` returns; an exception is an entry, too, and is tried again.

        Args:
            names: Names of the entry, from the outermost on.
            work: Called unless the entry is there already, and no error.
        """
        *outer, last = names
        place = self.fields
        for name in outer:
            place = place.setdefault(name, {})
        if last in place and not failed(place[last]):
            return place[last]
        print(f"{' '.join(names)} ...", flush=True)
        try:
            place[last] = work()
        except Exception as error:
            place[last] = {"error": one_line(error)}
        self.write()
        return place[last]

    def write(self) -> None:
        """Writes the file; whoever reads it meanwhile sees the old one or the new one."""
        temporary = self.path.with_name(f".{self.path.name}")
        temporary.write_text(json.dumps(self.fields, indent=2, default=str) + "\n")
        os.replace(temporary, self.path)


def failed(entry: Any) -> bool:
    """Whether an entry says that its work failed as a whole."""
    return isinstance(entry, dict) and "error" in entry


def one_line(error: Exception) -> str:
    """Puts an exception into words, on one line that is not too long."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]


def wrongs(entry: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Says what is wrong in an entry, at any depth: errors, and what is not right.

    An entry with the field ``missing`` could not be made on this machine, which is no fault.
    """
    if not isinstance(entry, Mapping):
        return
    where = " ".join(path)
    if "error" in entry:
        yield f"{where}: {entry['error']}"
    elif entry.get("right") is False:
        yield f"{where}: {entry.get('fault', 'not right')}"
    for name, inner in entry.items():
        yield from wrongs(inner, (*path, str(name)))
