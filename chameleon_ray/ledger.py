"""A process's ledger: the seconds that it is busy, by phase, and the seconds that it waits."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Account:
    """One process's time, in seconds; ``starting``, busy and waiting make up the wall time.

    Attributes:
        name: The process, for people.
        busy: Seconds in each phase.
        waiting: Seconds between phases, and after the process has ended.
        starting: Seconds from the beginning of the run until the process was ready.
    """

    name: str
    busy: Mapping[str, float] = field(default_factory=dict)
    waiting: float = 0.0
    starting: float = 0.0

    def ended(self, seconds: float) -> "Account":
        """Returns the account some seconds after the process has ended."""
        return replace(self, waiting=self.waiting + seconds)

    @property
    def busy_seconds(self) -> float:
        return sum(self.busy.values())

    @property
    def total(self) -> float:
        return self.busy_seconds + self.waiting + self.starting


def epoch(moment: float) -> float:
    """Converts a reading of this process's ``time.perf_counter()`` to ``time.time()``."""
    return time.time() - (time.perf_counter() - moment)


class Ledger:
    """Measures busy and waiting stretches, each by its own clock readings; ready when made."""

    def __init__(self) -> None:
        self._busy: dict[str, float] = {}
        self._waiting = 0.0
        self._ready = time.time()
        self._made = self._idle_since = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Books the time inside the block; phases do not nest."""
        began = time.perf_counter()
        self._waiting += began - self._idle_since
        try:
            yield
        finally:
            ended = time.perf_counter()
            self._busy[name] = self._busy.get(name, 0.0) + ended - began
            self._idle_since = ended

    def when(self, moment: float) -> float:
        """Converts a reading of ``time.perf_counter()`` to the ``time.time()`` that was when made.

        The clock may have been set since.
        """
        return self._ready - (self._made - moment)

    def account(self, name: str, began: float) -> Account:
        """Returns the time since the run began, by ``time.time()``; only for use between phases."""
        waiting = self._waiting + time.perf_counter() - self._idle_since
        return Account(name, dict(self._busy), waiting, max(self._ready - began, 0.0))
