"""The lock file of a directory, which somebody else may have put something else in the place of."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

NAME = ".lock"
"""Name of the file in the directory of a run, or of a zoo."""
GLANCE = 0.2
"""Most seconds for which those hold a lock, together, who only look whether it is held."""


def opened(lock: Path, make: bool = True) -> IO[str]:
    """Opens a lock file; follows no link, and waits for no pipe.

    Args:
        lock: The file.
        make: Whether to make it where it is missing.

    Raises:
        OSError: The directory cannot be written, or something else is in the file's place.
    """
    try:
        how = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_CREAT if make else 0)
        found = os.open(lock, how, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
    else:
        if stat.S_ISREG(os.fstat(found).st_mode):
            return os.fdopen(found, "r+")
        os.close(found)
    raise OSError(errno.EINVAL, f"its {lock.name} is a link, or no file; remove it")


def seized(lock: Path, make: bool = False) -> IO[str]:
    """Opens a lock file, and holds it until it is closed, or this process ends.

    Whoever held it before may have removed the file, or its directory: a lock of a file that nobody
    finds any more would keep nobody away, so the one that is there then is taken.

    Args:
        lock: The file; it is made where it is missing.
        make: Whether to make its directory where that is missing, too.

    Raises:
        BlockingIOError: Another process holds it, and not for a glance only.
        OSError: The directory cannot be written, something else is in the file's place, or the file
            system has no locks.
    """
    deadline = time.monotonic() + GLANCE
    while True:
        if make:
            lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = opened(lock)
        except FileNotFoundError:
            if not make or time.monotonic() > deadline:
                raise
            continue  # the directory was removed again
        try:
            _hold(file, deadline)
        except BaseException:
            file.close()
            raise
        if is_at(file, lock):
            return file
        file.close()


def _hold(lock: IO[str], deadline: float) -> None:
    """Holds an open lock file; raises ``BlockingIOError`` at ``deadline``, of the monotonic clock.

    It is an ``OSError`` where the file system has no locks.
    """
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(GLANCE / 20)
        else:
            return


def is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that is found by a path now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def abandoned(lock: Path) -> bool:
    """Whether no process holds a lock file; then it is removed.

    Raises:
        OSError: It is missing, or something else is in its place.
    """
    with opened(lock, make=False) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if is_at(file, lock):
            lock.unlink()
        return True


@contextmanager
def shared(lock: Path) -> Iterator[None]:
    """Keeps others from seizing a lock for the length of a block; any number of readers may do so.

    Nothing is made or written. A lock that is missing or cannot be read, or whose file system has
    no locks, keeps nobody away.

    Raises:
        BlockingIOError: Another process has seized it.
    """
    try:
        found = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield
        return
    try:
        try:
            fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        os.close(found)


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock; one that is missing, or is no file, is held by nobody."""
    try:
        found = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(found)
    return False
