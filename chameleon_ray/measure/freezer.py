"""Freezes builds and searches of one machine for as long as a timing runs.

Where kernels are timed on every core, nothing else may run meanwhile. Processes that keep cores
busy join the freezer; whoever times stops them by SIGSTOP and lets them go on by SIGCONT.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from chameleon_ray.folder_lock import abandoned, seized
from chameleon_ray.measure import rendezvous

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
        own = -os.getpid() if group else os.getpid()
        _JOINED.append(rendezvous.lock(f"{self._folder}/{own}", seized))

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
        for path in rendezvous.found(self._folder):  # some may not have ended yet
            path.unlink(missing_ok=True)
        rendezvous.leave(self._folder)

    @property
    def _folder(self) -> str:
        return f"{self.name}.freezer"

    def living(self) -> list[int]:
        """Returns the ids of the processes that live, with those of groups negative as in kill."""
        found = []
        for path in rendezvous.found(self._folder):
            with suppress(OSError, ValueError):
                member = int(path.name)
                if not abandoned(path):  # its process holds it, so the id is still its own
                    found.append(member)
        return [member for member in found if abs(member) != os.getpid()]


def _send(member: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(member, what)
