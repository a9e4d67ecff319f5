"""Run delay: how long a thread that could run waited for a core that something else had.

Linux counts it for every thread. With the time on the core it adds up to the time that passed, so
it says exactly how much of a timing other processes took. Steal time, in which the machine itself
had to wait for its host, counts as well.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import get_native_id

THREAD = Path("/proc/thread-self/schedstat")
THREADS = Path("/proc/self/task")
PROCESSES = Path("/proc")
STATISTICS = Path("/proc/stat")
TICK = 0.01
"""Seconds that a unit of ``/proc/stat`` stands for."""


def of_thread() -> dict[str, float]:
    """Returns the seconds that this thread has waited so far, by its id.

    They are 0 where the system does not say.
    """
    return {str(get_native_id()): _waited(THREAD)}


def of_process() -> dict[str, float]:
    """Returns the seconds that each thread of this process has waited so far, by its id."""
    return {task.name: _waited(task / "schedstat") for task in THREADS.glob("*")}


def of_another(pid: int) -> float:
    """Returns the seconds that a process has waited so far: its thread that waited most."""
    return max(map(_waited, (PROCESSES / str(pid) / "task").glob("*/schedstat")), default=0.0)


def stolen(cores: Iterable[int]) -> dict[str, float]:
    """Returns the seconds since the machine's start that its host kept each of some cores.

    There are none where the system does not say.
    """
    wanted = {f"cpu{core}" for core in cores}
    try:
        rows = [line.split() for line in STATISTICS.read_text().splitlines()]
        return {row[0]: TICK * int(row[8]) for row in rows if row and row[0] in wanted}
    except (OSError, IndexError, ValueError):
        return {}


def longest(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Returns by how many seconds the counter grew that grew most; 0 where there is none."""
    return max((seconds - before.get(name, 0.0) for name, seconds in after.items()), default=0.0)


def _waited(file: Path) -> float:
    try:
        return int(file.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class Stopwatch:
    """Times work on cores of this process, and finds out how far other processes disturb it.

    What one thread waited for its core is no part of its time, so it is taken off. Where several
    threads work together it cannot be, as any of them may have held up all.

    Attributes:
        seconds: Seconds that all work took so far, waiting included.
        waited: Seconds of these that it waited: its thread that waited most, for each work.
    """

    def __init__(self, threads: int) -> None:
        """Starts with nothing timed.

        Args:
            threads: Number of threads that the work runs on.
        """
        self.seconds = self.waited = 0.0
        self._alone = threads == 1
        self._delay = of_thread if self._alone else of_process

    def share_of(self, work: Callable[[], object]) -> float:
        """Does some work; returns the share of its time that it waited."""
        _, passed, waited = self._work(work)
        return waited / passed if passed > 0 else 0.0

    def time(self, work: Callable[[], object]) -> float:
        """Does some work; returns the seconds that it took, without waiting where that is known."""
        return self.undisturbed(*self._work(work))

    def _work(self, work: Callable[[], object]) -> tuple[float, float, float]:
        """Does some work; returns its seconds, those that passed around it and those it waited.

        The counters are read right before and after it. The thread may lose its core in between,
        so what it waited is part of the time that passed around both readings, not of its own.
        """
        opened = time.perf_counter()
        before, began = self._delay(), time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        waited = longest(before, self._delay())
        passed = time.perf_counter() - opened
        waited = min(waited, passed)
        self.seconds += passed
        self.waited += waited
        return seconds, passed, waited

    def undisturbed(self, timed: float, passed: float, waited: float) -> float:
        """Takes waiting off a timing, as far as it must have been in it.

        Args:
            timed: Seconds that were timed.
            passed: Seconds that passed, these included.
            waited: Seconds of those that passed in which the work waited.
        """
        inside = max(waited - (passed - timed), 0.0) if self._alone else 0.0
        return timed - inside if inside < timed else timed

    @property
    def share(self) -> float:
        """Share of all time that the work waited."""
        return self.waited / self.seconds if self.seconds > 0 else 0.0
