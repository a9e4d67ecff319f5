"""Time limits for processes that others stop or slow down."""

import os
import socket
import time
from math import inf
from multiprocessing.connection import wait

from chameleon_ray.measure.run_delay import of_another

TICK = os.sysconf("SC_CLK_TCK")
"""Number of units in which Linux counts a second of CPU time."""
STALLED = 20.0
"""Factor of a limit in CPU seconds after which a process that uses none is given up, too."""
STOPPED_SECONDS = 3600.0
"""Most seconds that a process may be stopped; whoever was to let it go on has died then."""
LOOK_SECONDS = 0.1
"""Seconds between two looks at whether a process is stopped, which are no part of its time."""
DELAYED = 5.0
"""Factor of a limit after which a process is given up that waited for its core meanwhile."""


def answers(
    channel: socket.socket, pid: int, limit: float, frozen: bool, most: float | None = None
) -> bool:
    """Waits until a process writes to a channel; returns whether it did within its time limit.

    Args:
        channel: The parent's end of the channel.
        pid: The process.
        limit: Most seconds of the process from now on. What it waits for its core, which other
            processes have, does not count.
        frozen: Whether it is stopped now and then; only its seconds on the CPU count then.
        most: Most seconds in any case, but for those in which it is stopped; where None, the limit
            times ``STALLED`` or ``DELAYED``.
    """
    now = began = time.monotonic()
    waited, used = of_another(pid), _cpu_seconds(pid)
    most = (STALLED if frozen else DELAYED) * limit if most is None else most
    given_up, left = began + most, limit
    while left > 0 and now < given_up:
        pause = min(max(left, 1 / TICK), given_up - now, LOOK_SECONDS if frozen else inf)
        if wait([channel], pause):
            return True
        before, now = now, time.monotonic()
        if frozen:
            stopped = now - before if is_stopped(pid) else 0.0
            given_up = min(given_up + stopped, began + most + STOPPED_SECONDS)
            left = limit - (_cpu_seconds(pid) - used)
        else:
            left = limit - (now - began) + max(of_another(pid) - waited, 0.0)
    return False


def _cpu_seconds(pid: int) -> float:
    """Returns the CPU seconds that a process has used; 0 where it is gone."""
    user, system = _state(pid)[11:13] or ("0", "0")
    return (int(user) + int(system)) / TICK


def is_stopped(pid: int | str) -> bool:
    """Whether a process is stopped, by a signal or a debugger."""
    return _state(pid)[:1] in (["T"], ["t"])


def _state(pid: int | str) -> list[str]:
    """Returns what Linux says of a process, from its state on; nothing where it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
