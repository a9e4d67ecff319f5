"""Time limits in CPU seconds, for processes that others stop or slow down."""

import os
import select
import socket
import time

TICK = os.sysconf("SC_CLK_TCK")
"""Number of units in which Linux counts a second of CPU time."""
STALLED = 20.0
"""Factor of a limit in CPU seconds after which a process that uses none is given up, too."""


def answers(channel: socket.socket, pid: int, limit: float) -> bool:
    """Waits until a process writes to a channel; returns whether it did within its time limit.

    Args:
        channel: The parent's end of the channel.
        pid: The process.
        limit: Most CPU seconds of the process from now on.
    """
    used, given_up = _cpu_seconds(pid), time.monotonic() + STALLED * limit
    left = limit
    while left > 0 and time.monotonic() < given_up:
        if select.select([channel], [], [], max(left, 1 / TICK))[0]:
            return True
        left = limit - (_cpu_seconds(pid) - used)
    return False


def _cpu_seconds(pid: int) -> float:
    """Returns the CPU seconds that a process has used; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return (int(user) + int(system)) / TICK
