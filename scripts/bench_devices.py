"""Runs the real engine on a number of recorded devices, which answer from tables.

Engine, budget, search, records on disk and Ray actors are the real ones. Of the hardware, building
takes no time, and a device sleeps for as long as the measurement took when the table was recorded.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from chameleon_ray.api.algorithms import Factory
from chameleon_ray.api.pools import AHEAD, LEARNT, actor_counts
from chameleon_ray.api.replay import TARGET, record_of
from chameleon_ray.api.search_pools import searching
from chameleon_ray.budget import Budget
from chameleon_ray.database import Database
from chameleon_ray.engine import Engine
from chameleon_ray.measure.measurer import Artifact, Measurer, Timing
from chameleon_ray.options import Budgeting, Search
from chameleon_ray.pool import Pool
from chameleon_ray.record import Record
from chameleon_ray.replay.recorded_devices import ReplayBuilder, ReplayRunner
from chameleon_ray.replay.table import Table
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.transfer import Transfer
from chameleon_ray.tuner import Tuner


@dataclass(frozen=True)
class Run:
    """One run of the engine.

    Attributes:
        devices: How many measured at once.
        layers_in_flight: Plans under way at once.
        seconds: Wall time that was looked at.
        measurements: Completed in it.
        device_seconds: Time of measurements, which the devices slept through in it.
        busy: Share of the engine's time by process of the search, and of this one.
    """

    devices: int
    layers_in_flight: int
    seconds: float
    measurements: int
    device_seconds: float
    busy: Mapping[str, float]

    @property
    def throughput(self) -> float:
        """Measurements per second."""
        return self.measurements / self.seconds

    @property
    def working(self) -> float:
        """Devices that were measuring, on average."""
        return self.device_seconds / self.seconds

    @property
    def busy_share(self) -> float:
        """Of the devices' time, what they spent measuring."""
        return self.working / self.devices


class Bench:
    """What one worker of a pool hosts: a recorded builder, or device, for every table."""

    def __init__(self, make: Callable[[Table], Any], tables: Mapping[str, Table]) -> None:
        self._of = {name: make(table) for name, table in tables.items()}

    def build(self, task: Task, config: Config) -> Artifact:
        """See ``Builder``."""
        return self._of[task.name].build(task, config)

    def run(self, task: Task, artifact: Artifact, best: float) -> Timing:
        """See ``Runner``."""
        return self._of[task.name].run(task, artifact, best)


@dataclass
class Book:
    """A watcher that keeps records on disk, as a tuning run does, and when measurements ended.

    Attributes:
        database: Where records go.
        pace: Of the devices.
        ended: When each measurement ended, in seconds of the engine, and how long it took.
        reasons: Why layers were finished.
    """

    database: Database
    pace: float
    ended: list[tuple[float, float]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.database.append([record])
        self.ended.append((record.finished, self.pace * timing_seconds))

    def planned(self, tuner: Tuner) -> None: ...

    def finished(self, task: str, reason: str) -> None:
        self.reasons.append(reason)


def within(ended: Sequence[tuple[float, float]], first: float, last: float) -> tuple[int, float]:
    """How many measurements ended from ``first`` to ``last``, and how long devices measured then.

    Args:
        ended: When each ended, and how long it took; of those that began in time none is missing.
        first: Seconds.
        last: The same.
    """
    parts = [min(end, last) - max(end - took, first) for end, took in ended]
    return sum(first < end <= last for end, _ in ended), sum(max(part, 0.0) for part in parts)


def tasks_of(tables: Mapping[str, Table], layers: int) -> list[Task]:
    """As many layers as asked for: each table in turn, again and again."""
    turns = ((name, table, turn) for turn in count() for name, table in tables.items())
    return [
        Task(
            name=name,
            digest=hashlib.sha256(f"{name} {turn}".encode()).hexdigest()[:16],
            target=TARGET,
            weight=1,
            flop=0.0,
            space=table.space,
            has_default=False,
        )
        for name, table, turn in islice(turns, layers)
    ]


@dataclass(frozen=True)
class Setup:
    """What is run.

    Attributes:
        tables: The layers' recordings, by name.
        layers: Of the model.
        warm: Seconds from the engine's start that are not looked at: devices wait for first plans.
        seconds: That are looked at after them.
        search: The search system.
        cores: For search, which say how many actors share it.
        pace: How many times the recorded time a device takes.
    """

    tables: Mapping[str, Table]
    layers: int
    warm: float
    seconds: float
    search: Search
    cores: int
    pace: float = 1.0

    @property
    def longest(self) -> float:
        """Seconds of the longest measurement."""
        return self.pace * max(float(table.run_seconds.max()) for table in self.tables.values())


def run(setup: Setup, devices: int, in_flight: int, seed: int) -> Run:
    """Tunes for a while; Ray must have been started.

    Args:
        setup: Layers and search.
        devices: Runner actors.
        in_flight: Layers that are searched, built or measured at the same time.
        seed: Of the search.

    Raises:
        RuntimeError: Layers were finished before the time was up, or nothing was measured in it.
    """
    with TemporaryDirectory() as folder:
        book = Book(Database(Path(folder)), setup.pace)
        busy = asyncio.run(_tune(setup, devices, in_flight, seed, book))
    if book.reasons:
        raise RuntimeError(f"A layer was finished early, as {book.reasons[0]}.")
    found = within(book.ended, setup.warm, setup.warm + setup.seconds)
    if not all(found):
        raise RuntimeError(f"Nothing was measured in {setup.seconds} s; give more --seconds.")
    return Run(devices, in_flight, setup.seconds, *found, busy)


async def _tune(
    setup: Setup, devices: int, in_flight: int, seed: int, book: Book
) -> dict[str, float]:
    """How busy the processes were; ``book`` has the rest.

    The engine goes on until whatever was begun in time must have ended.
    """
    system, measurer = started(setup, devices)
    engineers = (*system.pools(), measurer.builders)
    pools = (*engineers, measurer.runners)
    try:
        await asyncio.gather(*(pool.ready() for pool in pools))
        tuners = tuners_of(setup, system, seed)
        began, worked = time.perf_counter(), time.process_time()
        clock = lambda: time.perf_counter() - began  # noqa: E731
        end = setup.warm + setup.seconds + setup.longest
        budget = Budget(tuners, Budgeting(patience=10**9), None, end, clock)
        engine = Engine(budget, measurer, "recorded", book, clock, in_flight)
        await engine.run()
        elapsed, driver = clock(), time.process_time() - worked
        accounts = [account for pool in engineers for account in await pool.accounts()]
    finally:
        for pool in pools:
            pool.close()
    busy = {"driver": driver, **{account.name: account.busy_seconds for account in accounts}}
    return {name: seconds / elapsed for name, seconds in busy.items()}


def tuners_of(setup: Setup, system: SearchSystem, seed: int) -> list[Tuner]:
    """One per layer, which knows a first plan: from here on there is a search to be done."""
    search, rng = setup.search, np.random.default_rng(seed)
    transfer = Transfer(search.transfer) if search.transfer else None
    tuners = []
    for task in tasks_of(setup.tables, setup.layers):
        tuner, table = Tuner(task, system, search, seed, transfer), setup.tables[task.name]
        rows = rng.permutation(len(table))[: search.first_plan]
        tuner.observe([replace(record_of(table, int(row)), task=task.digest) for row in rows])
        tuners.append(tuner)
    return tuners


def started(setup: Setup, devices: int) -> tuple[SearchSystem, Measurer]:
    """The pools of a tuning run on this machine, with a builder and devices that are recorded."""
    from chameleon_ray.cluster.actor_pool import ActorPool  # Ray: not for --help

    device = partial(ReplayRunner, pace=setup.pace)
    began, counts = time.perf_counter(), actor_counts(setup.cores, devices) | {"builder": 1}

    def start_pool(name: str, factory: Factory) -> Pool:
        count, ahead = counts.get(name, 1), AHEAD.get(name, 0)
        return ActorPool(name, factory, {}, began, count, ahead=ahead, stored=LEARNT)

    system = searching(setup.search, setup.cores, start_pool)
    builders = start_pool("builder", partial(Bench, ReplayBuilder, setup.tables))
    return system, Measurer(builders, start_pool("runner", partial(Bench, device, setup.tables)))
