"""What an attempt has left in the temporary directory."""

from pathlib import Path

FOREIGN = "torchinductor_"
"""First letters of a folder that torch makes where a user's code clears the environment."""


def files_left(folder: Path) -> list[str]:
    """Returns the names of all that is in a temporary directory, empty folders included."""
    found = [str(one.relative_to(folder)) for one in folder.rglob("*")]
    return sorted(one for one in found if not one.startswith(FOREIGN))
