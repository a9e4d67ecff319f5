"""Turns at cores: whatever times on a core of this machine has it alone among our processes.

Two commands that time on the same cores would falsify each other's latencies. So each takes a turn
for as long as a timing lasts. A turn is a lock that the system releases when its holder ends, in
whatever way. Processes of one user respect each other's turns.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

from chameleon_ray.folder_lock import is_at
from chameleon_ray.measure import rendezvous
from chameleon_ray.measure.cpu_time import is_stopped

LOOK_SECONDS = 0.002
"""Seconds between two looks at whether a turn is over."""
_VAIN = set[tuple[int, int]]()
"""Inode and time of change of locks that this process has waited for in vain."""


@contextmanager
def turn(cores: Iterable[int], patience: float) -> Iterator[bool]:
    """Waits for its turn at some cores, and has them for the length of a block.

    Who waits is next: behind a door that only one can be in, so nobody takes two turns in a row
    while another waits.

    Args:
        cores: Numbers of the cores.
        patience: Seconds after which the block goes ahead without a turn, as whoever has it may
            have been stopped. One who was stopped is not waited for again.

    Yields:
        Whether the cores are this block's alone.
    """
    deadline = time.monotonic() + patience
    with ExitStack() as stack:
        alone = True
        for core in sorted(cores):
            with locked(f"core-{core}-next", deadline):
                alone = stack.enter_context(locked(f"core-{core}", deadline)) and alone
        yield alone


@contextmanager
def locked(name: str, deadline: float) -> Iterator[bool]:
    """Holds a lock for the length of a block; its file is there only as long.

    Args:
        name: Name of the lock.
        deadline: Value of ``time.monotonic()`` at which the block goes ahead without the lock.

    Yields:
        Whether the lock is held. It is not, either, where its file cannot be written.
    """
    file = _taken(f"{name}.lock", deadline)
    try:
        yield file is not None
    finally:
        if file is not None:
            with suppress(OSError):
                os.unlink(rendezvous.place() / f"{name}.lock")
            rendezvous.leave()
            file.close()


def _taken(name: str, deadline: float) -> IO[str] | None:
    """Takes a lock; returns its file, or None where that was not possible in time."""
    while True:
        try:
            file = rendezvous.lock(name)
        except OSError:
            return None
        if not _waited(file, deadline):
            file.close()
            return None
        if is_at(file, rendezvous.place() / name):
            with suppress(OSError):  # the disk is full: nobody will know whose turn it is
                os.ftruncate(file.fileno(), 0)
                os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)
            return file
        file.close()  # whoever had it has removed the file


def _waited(file: IO[str], deadline: float) -> bool:
    """Waits until nobody else holds a lock; returns whether this process holds it then."""
    known = os.fstat(file.fileno())
    held = known.st_ino, known.st_ctime_ns  # of this turn alone: who takes it writes to it
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline or (held in _VAIN and _is_stopped(file)):
                _VAIN.add(held)
                return False
            time.sleep(LOOK_SECONDS)
        except OSError:  # a file system without locks
            return False
        else:
            return True


def _is_stopped(lock: IO[str]) -> bool:
    """Whether the process that holds a lock, and has written its id, was stopped by a signal."""
    lock.seek(0)
    return is_stopped(lock.read().strip())
