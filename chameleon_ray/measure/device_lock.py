"""Locks by which one process claims a device for itself."""

import fcntl
import os
from typing import IO

from chameleon_ray.folder_lock import opened
from chameleon_ray.measure.scratch import machine_folder

_HELD: dict[str, IO[str]] = {}
"""Locks of this process by the device's name; they last as long as the process."""


def claim(name: str) -> bool:
    """Claims a device for this process; returns whether it is this process's now.

    Processes of one user on one machine respect each other's claims, which end with them.

    Args:
        name: Name of one device of this machine.
    """
    if name in _HELD:
        return True
    path = machine_folder() / f"chameleon-{os.getuid()}-{name}.lock"
    try:
        lock = opened(path)
    except OSError:  # somebody else's, or no file
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _HELD[name] = lock
    return True
