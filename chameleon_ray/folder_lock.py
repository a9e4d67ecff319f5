"""The lock file of a directory, which somebody else may have put something else in the place of."""

import errno
import os
import stat
from pathlib import Path
from typing import IO


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
