"""Copies of a kernel or model that run at once, as servers run them, of which one is timed.

Copies compete for the caches and the memory that cores share, so what is fastest alone need not be
fastest among others. Each copy has cores of its own, and a thread that drives it.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from chameleon_ray.measure.cores import neighbours

Run = Callable[[], object]
Prepare = Callable[[Sequence[int]], object]


def _as_it_is(cores: Sequence[int]) -> None:
    """Leaves the thread that calls as it is."""


class Copies:
    """The cores of a process, divided among copies; the thread that makes it drives the first."""

    def __init__(
        self,
        cores: Collection[int],
        count: int,
        prepare: Prepare = _as_it_is,
    ) -> None:
        """Divides cores, and binds this thread to those of the first copy.

        Args:
            cores: Cores of the process, in any order.
            count: Number of copies, of which each has as many cores.
            prepare: Prepares a thread that drives another copy, which is on the cores given.
        """
        self._prepare = prepare
        cores, threads = neighbours(cores), max(len(cores) // count, 1)
        groups = [tuple(cores[at : at + threads]) for at in range(0, len(cores), threads)]
        self.own, self.others = groups[0], groups[1:count]
        if self.others:
            os.sched_setaffinity(0, self.own)

    @contextmanager
    def running(self, runs: Sequence[Run]) -> Iterator[None]:
        """Runs the other copies over and over for the length of a block.

        The block begins once each has run, and ends when each has ended its last run.

        Args:
            runs: Runs each of the others once.

        Raises:
            Exception: What a run raised.
        """
        ended, faults = Event(), list[BaseException]()
        pairs = zip(self.others, runs, strict=True)
        drivers = [_Driver(cores, run, self._prepare, ended, faults) for cores, run in pairs]
        try:
            for driver in drivers:
                driver.start()
            for driver in drivers:
                driver.begun.wait()
            yield
        finally:
            ended.set()
            for driver in drivers:
                if driver.ident is not None:  # it was started
                    driver.join()
        if faults:
            raise faults[0]


class _Driver(Thread):
    """Runs one copy until an event is set; a fault ends it, and is kept."""

    def __init__(
        self,
        cores: tuple[int, ...],
        run: Run,
        prepare: Prepare,
        ended: Event,
        faults: list[BaseException],
    ) -> None:
        super().__init__(daemon=True)
        self.begun = Event()
        self._cores, self._run, self._prepare = cores, run, prepare
        self._ended, self._faults = ended, faults

    def run(self) -> None:
        try:
            os.sched_setaffinity(0, self._cores)  # of this thread, and of those that it starts
            self._prepare(self._cores)
            while not self._ended.is_set():
                self._run()
                self.begun.set()
        except BaseException as error:
            self._faults.append(error)
        finally:
            self.begun.set()
