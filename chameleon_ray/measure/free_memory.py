"""Memory that this machine has free for further processes."""

import re
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
