"""The JSON file of ``gpu_check.py``, written anew after every part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Report:
    """Entries by the names of what they are of; one that fails leaves the others as they are."""

    def __init__(self, path: Path, **fields: Any) -> None:
        self.path, self.fields = path, fields
        self.write()

    def part(self, names: tuple[str, ...], work: Callable[[], Any]) -> None:
        """Enters what a part comes to; an exception is an entry, too."""
        print(f"{' '.join(names)} ...", flush=True)
        try:
            found = work()
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
        *outer, last = names
        place = self.fields
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = found
        self.write()

    def write(self) -> None:
        self.path.write_text(json.dumps(self.fields, indent=2, default=str) + "\n")
