"""The folder of a private Ray: its sockets and logs, for this user only, gone with the session.

By itself Ray writes to a folder that all users of the machine share, lets everyone write there,
and leaves it behind.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chameleon_ray.errors import UserError
from chameleon_ray.pool import PoolError

LONGEST = 38
"""Most bytes of its path, as a socket's may have 107, and Ray's below it up to 68."""

LEAST = 16 << 20
"""Least bytes of room for Ray's logs."""


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """Makes a folder, and removes it again unless its logs tell why workers died.

    Raises:
        UserError: No folder for temporary files can be written and has room, or their paths are
            too long.
    """
    folder = _made()
    try:
        yield folder
    except PoolError as error:
        raise PoolError(f"{error} Ray's logs are kept in {folder}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _made() -> Path:
    places = [os.environ.get("RAY_TMPDIR", ""), tempfile.gettempdir(), "/tmp"]
    for place in filter(None, places):
        with contextlib.suppress(OSError):
            room = shutil.disk_usage(place)
            if room.total and room.free < LEAST:  # some file systems count nothing
                continue
            folder = Path(tempfile.mkdtemp(prefix="ray-", dir=place))
            if len(os.fsencode(folder)) <= LONGEST:
                return folder
            folder.rmdir()
    raise UserError(
        f"Ray needs a folder that can be written, with {LEAST >> 20} MiB of room and a path of at "
        f"most {LONGEST - 12} characters; name one in the environment variable RAY_TMPDIR."
    )
