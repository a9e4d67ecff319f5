"""The reaper of a private Ray: ends what is left of it where the command was killed.

Ray's servers end with the command that started them. Its agents first try for a minute to tell
those servers of it. The reaper is a process that waits for the command's end, gives the others a
moment, and ends what still carries the session's mark. It also removes the session's folder.

A command that was killed cannot say so, nor can one that Ray's library ends without a word, as it
does where it reaches for a raylet that is gone. The reaper says it.

Where Ray's library waits for a server that is gone, the command hears no signal, and in the second
in which it becomes a part of Ray, it runs no line of Python. The reaper, which is told which
processes are the servers, then ends the command, and says that, too.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
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
ENDED, OVER = "ended", "over"
"""What the reaper is told when nothing is left to do, and when servers are ended on purpose."""
TOLD = (
    b"Error: The command ended at once: it was killed, or its private Ray was lost. "
    b"What it recorded is kept.\n"
)
STUCK = (
    "Error: The private Ray lost its {}; the command waited for it inside Ray's library, where it "
    "hears nothing, and was killed after {:g} s. What it recorded is kept.\n"
)


@contextlib.contextmanager
def reaped(folder: Path, patience: float) -> Iterator[Callable[[str], None]]:
    """Has the reaper watch over this process for a ``with`` block; after that it does nothing.

    It provides a function that tells the reaper of the name and process id of a server, or that
    servers are ``OVER``.

    Args:
        folder: The session's folder, which processes of the session carry as their mark.
        patience: Seconds from the end of a server on in which this process has to tell that they
            are over, or is killed.
    """
    command = [sys.executable, "-I", "-S", __file__, str(patience), str(folder)]
    null = subprocess.DEVNULL
    own = sys.__stderr__  # None, or closed, where the command has none
    told = None if own is not None and not own.closed and own.fileno() == 2 else null
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=null, stderr=told, start_new_session=True
    ) as process:
        assert process.stdin is not None
        pipe = process.stdin.fileno()

        def send(words: str) -> None:
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, f"{words}\n".encode())

        try:
            yield send
        finally:
            send(ENDED)
            process.communicate()


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


def listen(patience: float) -> bool:
    """Waits for the end of the command or of its block; whether something is left to be ended.

    Args:
        patience: Seconds in which the command has to notice that a server has ended.
    """
    command, rest, lost, deadline = os.getppid(), "", "", float("inf")
    servers: dict[int, str] = {}
    while True:
        left = None if deadline == float("inf") else max(deadline - time.monotonic(), 0.0)
        ready = select.select([0, *servers], [], [], left)[0]
        if ended := [servers.pop(one) for one in ready if one]:
            lost, deadline = lost or ended[0], min(deadline, time.monotonic() + patience)
        if 0 in ready:
            if not (read := os.read(0, 4096)):
                tell(TOLD)
                return True
            *lines, rest = (rest + read.decode()).split("\n")
            if ENDED in lines:
                return False
            servers |= opened(line for line in lines if line != OVER)
            if OVER in lines:
                servers, lost, deadline = {}, "", float("inf")
        elif time.monotonic() >= deadline:
            waits = os.getppid() == command  # else it has just ended
            tell(STUCK.format(lost, patience).encode() if waits else TOLD)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if waits:
                    os.kill(command, signal.SIGKILL)
            return True


def opened(lines: Iterable[str]) -> dict[int, str]:
    """Returns descriptors that can be read when servers have ended, and the servers' names.

    Args:
        lines: Name and process id of each.
    """
    found = {}
    for name, pid in map(str.split, lines):
        # an old kernel, a Python without it, or it has ended and is known to have
        with contextlib.suppress(OSError, AttributeError):
            found[os.pidfd_open(int(pid))] = name
    return found


def tell(words: bytes) -> None:
    """Says in the command's place that it ended, and leaves its standard error to others.

    Nothing is said where nobody reads it, as that would not end.
    """
    if select.select([], [2], [], 0)[1]:
        with contextlib.suppress(OSError):
            os.write(2, words)
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
    if listen(float(sys.argv[1])):
        reap(sys.argv[2])
