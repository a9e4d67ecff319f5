"""Locks by which one process claims a device for itself."""

from typing import IO

from chameleon_ray.folder_lock import seized
from chameleon_ray.measure import rendezvous

_HELD: dict[str, IO[str]] = {}
"""Locks of this process by the device's name; they last as long as the process."""


def claim(name: str) -> bool:
    """Claims a device for this process; returns whether it is this process's now.

    Processes of one user on one machine respect each other's claims, which end with them.

    Args:
        name: Name of one device of this machine.
    """
    if name not in _HELD:
        try:
            _HELD[name] = rendezvous.lock(f"{name}.lock", seized)
        except OSError:
            return False
    return True
