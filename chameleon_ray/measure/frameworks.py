"""Times a model in several frameworks in turns, each framework in a process of its own.

Only the process that is timed runs: the others are stopped meanwhile, as threads of a framework may
spin for a while after its last execution. One process would not do, as frameworks that share it
share their pools of threads, and some crash beside each other.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from chameleon_ray.measure.copies import Copies, Run
from chameleon_ray.measure.core_turns import turn
from chameleon_ray.measure.example import Arrays
from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Setting
from chameleon_ray.measure.run_delay import THREADS, Stopwatch
from chameleon_ray.options import Comparing, Measuring


@dataclass(frozen=True)
class Runnable:
    """A model that a framework has loaded.

    Attributes:
        run: Runs the model once; returns what the framework gives when the device has finished.
        arrays: Turns that into the outputs as arrays.
        version: Version of the framework.
        another: Makes what runs another copy of the model meanwhile; where None, ``run`` may be
            called from several threads at once.
    """

    run: Callable[[], Any]
    arrays: Callable[[Any], Arrays]
    version: str = ""
    another: Callable[[], Callable[[], Any]] | None = None


class Hosted:
    """A framework inside its own process: it loads the model at the first job, then times it.

    A job is None for loading, or the seconds of a turn.
    """

    def __init__(
        self, load: Callable[[], Runnable], cores: Sequence[int], instances: int = 1
    ) -> None:
        """Takes what is hosted.

        Args:
            load: Loads the model, on all cores that the process has until then.
            cores: Cores that it is run on.
            instances: Number of copies that share the cores when the model is timed.
        """
        self._load, self._cores, self._instances = load, cores, instances
        self._timed: Callable[[float], tuple[float, ...]] | None = None

    def __call__(self, seconds: float | None) -> tuple[str, Arrays] | tuple[float, ...]:
        """Returns the framework's version and the model's outputs, or latencies in seconds."""
        if self._timed is not None and seconds is not None:
            return self._timed(seconds)
        model = self._load()
        bind(self._cores)
        copies = Copies(self._cores, self._instances)
        another = model.another or (lambda: model.run)
        self._timed = partial(_timed, model.run, copies, [another() for _ in copies.others])
        return model.version, model.arrays(model.run())


def _timed(run: Run, copies: Copies, others: Sequence[Run], seconds: float) -> tuple[float, ...]:
    """Times a model beside its other copies; see ``timed``."""
    with copies.running(others):
        return timed(run, seconds, Stopwatch(len(copies.own)))


def bind(cores: Sequence[int]) -> None:
    """Binds all threads of this process to some cores, and with them those that they will start."""
    for thread in THREADS.iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), cores)


def timed(run: Run, seconds: float, watch: Stopwatch) -> tuple[float, ...]:
    """Times executions for about so many seconds, one at least; returns the seconds of each.

    The first one only warms caches, and counts only where it takes longer than that.
    """
    latencies = [watch.time(run)]
    if latencies[0] > seconds:
        return tuple(latencies)
    latencies, began = [], time.perf_counter()
    while not latencies or time.perf_counter() - began < seconds:
        latencies.append(watch.time(run))
    return tuple(latencies)


class FrameworkError(Exception):
    """A framework that cannot run or time the model, in words."""


class Framework:
    """One framework in a process of its own, which is stopped unless it is asked something.

    Attributes:
        name: Name for people.
        version: Version, once the model is loaded; may be empty.
        outputs: Outputs of the model, once it is loaded.
    """

    def __init__(self, name: str, setting: Setting, cores: Sequence[int]) -> None:
        """Starts the process, whose handler is a ``Hosted`` for the same cores."""
        self.name, self.version, self.outputs = name, "", Arrays()
        self._cores = cores
        self._isolate = Isolate(setting)

    def load(self, seconds: float) -> None:
        """Waits at most so many seconds until the model has run once, and stops the process.

        Raises:
            FrameworkError: It did not.
        """
        try:
            self.version, self.outputs = self._answer(None, seconds)
        finally:
            self._isolate.stop()

    def latencies(self, seconds: float, patience: float) -> tuple[float, ...]:
        """Times executions for about so many seconds; returns the seconds of each.

        Args:
            seconds: Seconds of the turn.
            patience: Seconds after which the framework is given up.

        Raises:
            FrameworkError: It was given up, or died.
        """
        with turn(self._cores, Measuring.turn_seconds):
            self._isolate.go_on()
            try:
                found: tuple[float, ...] = self._answer(seconds, patience)
            finally:
                self._isolate.stop()
        return found

    def close(self) -> None:
        """Ends the process; a question that another thread has asked fails."""
        self._isolate.close()

    def _answer(self, job: float | None, patience: float) -> Any:
        try:
            outcome = self._isolate.call(job, patience, patience)  # a share of the time left
        except IsolateError as error:
            raise FrameworkError(str(error)) from error
        if outcome.ending is Ending.TIMEOUT:
            raise FrameworkError(f"it did not answer within {patience:.1f} s")
        if outcome.ending is not Ending.OK:
            raise FrameworkError(outcome.error.strip().partition("\n")[0].rstrip("."))
        return outcome.value


@dataclass
class _Turns:
    """The turns of one framework: the median latency in each, and the seconds that they took."""

    medians: list[float] = field(default_factory=list)
    spent: float = 0.0
    last: float = 0.0

    def add(self, found: Sequence[float]) -> None:
        """Adds a turn of such latencies."""
        self.medians.append(median(found))
        self.last = sum(found)
        self.spent += self.last

    def due(self, share: float, least: int, left: float) -> bool:
        """Whether it has another turn.

        Args:
            share: Seconds after which it has none, as a rule.
            least: Number of turns that it has nevertheless, where there is time.
            left: Seconds that others leave; it has its first turn in any case.
        """
        if not self.medians or self.spent <= share:
            return True
        return len(self.medians) < least and self.last <= left


def in_turns(
    frameworks: Sequence[Framework],
    options: Comparing,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Mapping[str, list[float]], Mapping[str, str]]:
    """Times frameworks that have loaded the model; who begins a round takes turns.

    Args:
        frameworks: One at least.
        options: Settings of the comparison.
        seconds: Seconds after which no further round is begun; there is one in any case. What has
            taken more than its share of them has no further turn, but for a few where another as
            long as its last leaves time for all turns of the others.
        clock: Returns the seconds since some moment.

    Returns:
        The median latency of each framework in every round by its name, and why others failed.
    """
    left, faults = list(frameworks), dict[str, str]()
    turns, end, share = {one.name: _Turns() for one in left}, clock() + seconds, seconds / len(left)
    for number in range(options.rounds):
        if number and clock() > end:
            break
        first = number % max(len(left), 1)
        for one in [*left[first:], *left[:first]]:
            others = sum(turns[other.name].last for other in left if other is not one)
            spare = end - clock() - others * (options.rounds - number)
            if not turns[one.name].due(share, options.least_turns, spare):
                continue
            patience = min(options.patience, max(end - clock(), options.least_seconds))
            try:
                turns[one.name].add(one.latencies(options.turn_seconds, patience))
            except FrameworkError as error:
                faults[one.name] = str(error)
                del turns[one.name]
                left.remove(one)
    return {name: known.medians for name, known in turns.items()}, faults
