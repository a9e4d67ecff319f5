"""Memory that this machine has free for further processes, and what a process gives back to it."""

import ctypes
import gc
import re
from contextlib import suppress
from pathlib import Path

MEMORY = Path("/proc/meminfo")


def free_memory() -> int | None:
    """Returns the bytes that processes can take without others being swapped; None if unknown.

    The limits of control groups are not looked at.
    """
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", MEMORY.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) << 10 if found else None


def give_back() -> None:
    """Gives back what this process has freed: garbage, and pages that its C library keeps.

    C libraries other than glibc have no such function, and keep them.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
