"""The lock file of a directory, which somebody else may have put something else in the place of."""

import errno
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import IO

NAME = ".lock"
"""Name of the file in the directory of a run, or of a zoo."""
GLANCE = 0.2
"""Most seconds for which those hold a lock, together, who only look whether it is held."""


def opened(lock: Path) -> IO[str]:
    """Opens a lock file, and makes it where it is missing; follows no link, waits for no pipe.

    Raises:
        OSError: The directory cannot be written, or something else is in the file's place.
    """
    try:
        found = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
    else:
        if stat.S_ISREG(os.fstat(found).st_mode):
            return os.fdopen(found, "r+")
        os.close(found)
    raise OSError(errno.EINVAL, f"its {lock.name} is a link, or no file; remove it")


def seize(lock: IO[str]) -> None:
    """Holds a lock until the file is closed, or this process ends.

    Raises:
        BlockingIOError: Another process holds it, and not for a glance only.
        OSError: The file system has no locks.
    """
    deadline = time.monotonic() + GLANCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(GLANCE / 20)
        else:
            return


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
