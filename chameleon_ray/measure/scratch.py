"""The temporary directories: the machine's, and one of each child, which is removed with it.

A child that is killed cannot remove what it has written. So each has a temporary directory of its
own, which whoever made the child removes. If that was killed as well, a later command does: the
directory is locked for as long as one of the processes lives that it is for, which also keeps
programs away that tidy up. A user's own code sees the machine's directory.
"""

import contextlib
import fcntl
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

MACHINE = "CHAMELEON_TMPDIR"
"""Environment variable of children: the temporary directory of the command."""
TORCH = "TORCHINDUCTOR_CACHE_DIR"
"""Environment variable: where torch keeps what it compiles, which is in the temporary directory."""
ENDING = ".scratch"


def machine_folder() -> Path:
    """Returns the directory in which all processes of this machine find each other's locks."""
    return Path(os.environ.get(MACHINE) or tempfile.gettempdir())


def is_own(path: Path) -> bool:
    """Whether a path is a directory of this user alone; anybody may have put a link there."""
    try:
        return is_private(path.lstat())
    except OSError:
        return False


def is_private(known: os.stat_result) -> bool:
    """Whether what is known of a path, and not of what a link leads to, is such a directory."""
    mine = stat.S_ISDIR(known.st_mode) and known.st_uid == os.getuid()
    return mine and not known.st_mode & 0o077


class Scratch:
    """A temporary directory for a child, or for the length of a ``with`` block.

    Attributes:
        path: The directory.
        descriptor: Descriptor that locks it. A process that inherits it holds the lock, too.
    """

    def __init__(self) -> None:
        """Makes the directory, and removes what others left.

        Raises:
            OSError: The machine's cannot be written.
        """
        sweep()
        self._closing = Lock()
        while True:
            self.path = Path(tempfile.mkdtemp(ENDING, _beginning(), machine_folder()))
            with contextlib.suppress(FileNotFoundError):  # another one's sweep took it
                self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(self.descriptor, fcntl.LOCK_EX)
                if self.path.exists():
                    break
                os.close(self.descriptor)

    def environment(self) -> dict[str, str]:
        """Returns the variables by which a child has the directory for its own."""
        caches = os.environ.get(TORCH) or str(self.path / "torch")
        return {MACHINE: str(machine_folder()), "TMPDIR": str(self.path), TORCH: caches}

    def empty(self) -> None:
        """Removes what a child has left in the directory."""
        for path in list(self.path.glob("*")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()

    def close(self) -> None:
        """Removes the directory; may be called again, also by another thread."""
        shutil.rmtree(self.path, ignore_errors=True)
        with self._closing:
            if self.descriptor >= 0:
                os.close(self.descriptor)
                self.descriptor = -1

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *raised: object) -> None:
        self.close()


def _beginning() -> str:
    """Returns the first letters of directories' names: locks of other machines are not seen."""
    return f"chameleon-{os.getuid()}-{platform.node()}-"


def remove_own() -> None:
    """Removes the temporary directory of this process, which is a child's."""
    own = Path(os.environ.get("TMPDIR", ""))
    if own.parent == machine_folder() and own.name.endswith(ENDING):
        shutil.rmtree(own, ignore_errors=True)


def sweep() -> None:
    """Removes the directories of this user's children that were killed with all that made them."""
    for path in filter(is_own, machine_folder().glob(f"{_beginning()}*{ENDING}")):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Has the machine's temporary directory for a block, in which a user's code runs."""
    own, known = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(machine_folder())
    try:
        yield
    finally:
        tempfile.tempdir = known
        if own is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = own
