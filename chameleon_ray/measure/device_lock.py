"""Claims: a device's name in, the right of this process alone to use it out."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

_HELD: dict[str, IO[str]] = {}
"""What this process has claimed; the locks last as long as it does."""


def claim(name: str) -> bool:
    """Whether a device is this process's, from now on if it was nobody's.

    Processes of one user on one machine respect each other's claims, which end with them.

    Args:
        name: Of one device of this machine.
    """
    if name in _HELD:
        return True
    path = Path(tempfile.gettempdir(), f"chameleon-{os.getuid()}-{name}.lock")
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _HELD[name] = lock
    return True
