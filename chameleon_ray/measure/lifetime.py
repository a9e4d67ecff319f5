"""The ends of processes: they die with their parent, and are waited for no longer than need be."""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

ENDING_SECONDS = 10.0
"""Most seconds for a killed process to be gone; one that waits in a driver cannot be killed."""
STUCK = -1
"""Stands for the status of a child that was killed, but is still there."""
LONGEST_PAUSE = 0.05
"""Most seconds between two looks at a process that is to end."""
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
"""Numbers of Linux's ``prctl``."""


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Has the kernel signal this process when its parent ends."""
    ctypes.CDLL(None).prctl(SET_PDEATHSIG, how)


def adopt_orphans() -> None:
    """Has the kernel make this process the parent of descendants whose own parent has ended."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)


def ended(pid: int, grace: float = 0.0) -> tuple[int, bool]:
    """Ends a child.

    Args:
        pid: The child.
        grace: Seconds in which it may end by itself before it is killed.

    Returns:
        Its status, ``STUCK`` where it does not end in time, and whether it was killed here.
    """
    status = _status(pid, grace) if grace else STUCK
    if status != STUCK:
        return status, False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return _status(pid, ENDING_SECONDS), True


def _status(pid: int, seconds: float) -> int:
    """Waits for a child's end; returns its status, or ``STUCK``."""
    deadline, pause = time.monotonic() + seconds, 0.0005
    while True:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone or time.monotonic() > deadline:
            return status if gone else STUCK
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def end_children(spared: set[int]) -> None:
    """Kills all children, and what they leave behind, where orphans are adopted.

    Args:
        spared: Children that were killed before in vain.
    """
    deadline, pause = time.monotonic() + ENDING_SECONDS / 2, 0.0005
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:  # none is left
            return
        living = _children() - spared
        if not living:
            return
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _children() -> set[int]:
    """Returns the ids of this process's children, the ended ones too."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                after = (folder / "stat").read_text(errors="replace").rpartition(")")[2]
                if int(after.split()[1]) == os.getpid():
                    found.add(int(folder.name))
    return found
