"""The temporary directories: the machine's, and one of each child, which is removed with it.

A child that is killed cannot remove what it has written. So each has a temporary directory of its
own, which whoever made the child removes. A user's own code sees the machine's.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MACHINE = "CHAMELEON_TMPDIR"
"""Environment variable of children: the temporary directory of the command."""
TORCH = "TORCHINDUCTOR_CACHE_DIR"
"""Environment variable: where torch keeps what it compiles, which is in the temporary directory."""
PREFIX = "chameleon-"


def machine_folder() -> Path:
    """Returns the directory in which all processes of this machine find each other's locks."""
    return Path(os.environ.get(MACHINE) or tempfile.gettempdir())


def new_scratch() -> Path:
    """Makes a temporary directory for a child.

    Raises:
        OSError: The machine's cannot be written.
    """
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=machine_folder()))


def own_folder(scratch: Path) -> dict[str, str]:
    """Returns the variables by which a child has a directory for its own."""
    caches = os.environ.get(TORCH) or str(scratch / "torch")
    return {MACHINE: str(machine_folder()), "TMPDIR": str(scratch), TORCH: caches}


def emptied(scratch: Path) -> None:
    """Removes what a child has left in its directory."""
    with suppress(OSError):
        for path in list(scratch.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def remove_own() -> None:
    """Removes the temporary directory of this process, which is a child's."""
    own = Path(os.environ.get("TMPDIR", ""))
    if own.parent == machine_folder() and own.name.startswith(PREFIX):
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
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
