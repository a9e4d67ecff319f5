"""What an attempt has left in the temporary directory."""

from pathlib import Path

FOREIGN = {".ses"}
"""Files that ONNX Runtime itself leaves there."""


def files_left(folder: Path) -> list[str]:
    """Returns the names of the files in a temporary directory that no library left there."""
    found = [one for one in folder.rglob("*") if not one.is_dir() and one.name not in FOREIGN]
    return sorted(str(one.relative_to(folder)) for one in found)
