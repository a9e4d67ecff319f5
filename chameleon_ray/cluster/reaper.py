"""The reaper of a private Ray: ends what is left of it where the command was killed.

Ray's servers end with the command that started them. Its agents first try for a minute to tell
those servers of it. The reaper is a process that waits for the command's end, gives the others a
moment, and ends what still carries the session's mark. It also removes the session's folder.

A command that was killed cannot say so, nor can one that Ray's library ends without a word, as it
does where it reaches for a raylet that is gone. The reaper says it.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "CHAMELEON_RAY_FOLDER"
"""Environment variable of all processes of a private Ray; its value is the session's folder."""
GRACE, PATIENCE = 3.0, 10.0
"""Seconds in which processes may end by themselves, and then in which killed ones are gone."""
CALM = 1.0
"""Seconds without any such process after which none is about to be started."""
LONGEST_PAUSE = 0.1
NAMED = b"ray::"
"""First bytes of the names that Ray's processes give themselves."""
ENDED = b"ended"
TOLD = (
    b"Error: The command ended at once: it was killed, or its private Ray was lost. "
    b"What it recorded is kept.\n"
)


@contextlib.contextmanager
def reaped(folder: Path) -> Iterator[None]:
    """Has the reaper watch over this process for a ``with`` block; after that it does nothing.

    Args:
        folder: The session's folder, which processes of the session carry as their mark.
    """
    command = [sys.executable, "-I", "-S", __file__, str(folder)]
    null = subprocess.DEVNULL
    own = sys.__stderr__  # None, or closed, where the command has none
    told = None if own is not None and not own.closed and own.fileno() == 2 else null
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=null, stderr=told, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.communicate(ENDED)


def marked(folder: str) -> list[int]:
    """Returns the ids of the processes that carry a session's mark, this one's apart.

    A process that gave itself a name may have written it over its environment and its arguments;
    files of the session among its arguments, or open in it, will do, too.
    """
    mark, below, found = f"{MARK}={folder}".encode(), f"{folder}/".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                carried = mark in (entry / "environ").read_bytes().split(b"\0")
                words = (entry / "cmdline").read_bytes()
                if carried or below in words or (words.startswith(NAMED) and _opens(entry, below)):
                    found.append(int(entry.name))
    return found


def _opens(process: Path, below: bytes) -> bool:
    """Whether a process has a file open in a folder."""
    links = [os.readlink(bytes(link)) for link in (process / "fd").iterdir()]
    return any(link.startswith(below) for link in links)


def end(folder: str) -> None:
    """Kills the processes of a session at once, as soon as they can be found."""
    deadline = time.monotonic() + GRACE
    while (left := marked(folder)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def tell() -> None:
    """Says in the command's place that it ended, and leaves its standard error to others.

    Nothing is said where nobody reads it, as that would not end.
    """
    if select.select([], [2], [], 0)[1]:
        with contextlib.suppress(OSError):
            os.write(2, TOLD)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def reap(folder: str) -> None:
    """Ends the processes of a session, and removes its folder."""
    began = seen = time.monotonic()
    pause = 0.01
    while (now := time.monotonic()) - began < GRACE + PATIENCE and now - seen < CALM:
        if left := marked(folder):
            seen = now
        for pid in left if now - began > GRACE else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != ENDED:
        tell()
        reap(sys.argv[1])
