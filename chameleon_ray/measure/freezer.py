"""Freezes builds and searches of one machine for as long as a timing runs.

Where kernels are timed on every core, nothing else may run meanwhile. Processes that keep cores
busy join the freezer; whoever times stops them by SIGSTOP and lets them go on by SIGCONT.
"""

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from chameleon_ray.folder_lock import abandoned, is_at, opened
from chameleon_ray.measure.scratch import machine_folder, own_folders

_JOINED: list[IO[str]] = []
"""Files of this process, which are locked for as long as it or a fork of it lives."""


@dataclass(frozen=True)
class Freezer:
    """The processes of one session on one machine that can be frozen together.

    Attributes:
        name: Name of the session, different from that of any other on the machine.
    """

    name: str

    def join(self, group: bool = False) -> None:
        """Makes this process one that is frozen, for the rest of its life.

        Args:
            group: Whether its whole process group is, which it leads.
        """
        path = self._folder / str(-os.getpid() if group else os.getpid())
        while True:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            try:
                file = opened(path)
            except FileNotFoundError:  # it was taken for that of a session that has ended
                continue
            fcntl.flock(file, fcntl.LOCK_EX)
            if is_at(file, path):
                break
            file.close()  # it was taken for that of a process which has ended, and removed
        _JOINED.append(file)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stops all processes that have joined, but for this one, for the length of a block.

        Only one process of a machine may do so at a time.
        """
        members = self.living()
        try:
            for member in members:
                _send(member, signal.SIGSTOP)
            yield
        finally:
            for member in members:
                _send(member, signal.SIGCONT)

    def thaw(self) -> None:
        """Lets everything go on that somebody stopped who died before it could do so itself."""
        for member in self.living():
            _send(member, signal.SIGCONT)

    def close(self) -> None:
        """Lets everything go on, and removes what the freezer keeps on disk."""
        self.thaw()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return _folder_of(self.name)

    def living(self) -> list[int]:
        """Returns the ids of the processes that live, with those of groups negative as in kill."""
        found = []
        for path in self._folder.glob("*"):
            with suppress(OSError, ValueError):
                member = int(path.name)
                if not abandoned(path):  # its process holds it, so the id is still its own
                    found.append(member)
        return [member for member in found if abs(member) != os.getpid()]


def sweep() -> None:
    """Removes what sessions of this user left that were killed, once all their processes ended."""
    before, after = _folder_of("*").name.split("*")
    for folder in own_folders(f"{before}*{after}"):
        Freezer(folder.name.removeprefix(before).removesuffix(after)).living()
        with suppress(OSError):  # some live
            folder.rmdir()


def _folder_of(session: str) -> Path:
    return machine_folder() / f"chameleon-{os.getuid()}-{session}.freezer"


def _send(member: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(member, what)
