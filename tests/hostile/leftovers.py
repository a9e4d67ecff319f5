"""What an attempt has left in the temporary directory."""

from pathlib import Path


def files_left(folder: Path) -> list[str]:
    """Returns the names of all that is in a temporary directory, empty folders included."""
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))
