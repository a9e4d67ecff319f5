"""The ends of processes: they die with their parent, and are waited for no longer than need be."""

import contextlib
import ctypes
import os
import signal
import time

ENDING_SECONDS = 10.0
"""Most seconds for a killed process to be gone; one that waits in a driver cannot be killed."""
STUCK = -1
"""Stands for the status of a child that was killed, but is still there."""
LONGEST_PAUSE = 0.05
"""Most seconds between two looks at a process that is to end."""


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def ended(pid: int) -> int:
    """Kills a child and returns its status; ``STUCK`` where it does not end in time."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline, pause = time.monotonic() + ENDING_SECONDS, 0.0005
    while True:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone or time.monotonic() > deadline:
            return status if gone else STUCK
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
