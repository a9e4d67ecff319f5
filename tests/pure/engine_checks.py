"""Checks of an engine run, whichever pools it was run with: used with and without Ray."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count

from chameleon_ray.budget import Budget
from chameleon_ray.engine import Engine
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Annealing, Boosting, Budgeting, Search
from chameleon_ray.pool import InProcessPool, Pool
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.tuner import Tuner
from tests.pure import toys

QUICK = Search(
    first_plan=12,
    plan=12,
    annealing=Annealing(chains=32, steps=60),
    boosting=Boosting(rounds=40, depth=4),
)
StartPool = Callable[[str, Callable], Pool]


class Notes:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.in_flight: Counter = Counter()
        self.most_layers = 0
        self.reasons: dict[str, str] = {}

    def proposed(self, task: str, count: int) -> None:
        self.in_flight[task] += count
        self.most_layers = max(self.most_layers, sum(n > 0 for n in self.in_flight.values()))

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.in_flight[record.task] -= 1
        self.records.append(record)

    def planned(self, tuner: Tuner) -> None: ...

    def finished(self, task: str, reason: str) -> None:
        self.reasons[task] = reason


def local(name: str, factory: Callable) -> Pool:
    return InProcessPool(name, factory, {}, time.perf_counter())


def searching(start_pool: StartPool, separate: bool) -> SearchSystem:
    """The pools of the search: one for all of it, as on small machines, or three."""
    if not separate:
        pool = start_pool("searcher", partial(toys.searcher, QUICK))
        return SearchSystem(pool, pool, pool)
    return SearchSystem(
        cost_model=start_pool("cost model", partial(toys.cost_model, QUICK)),
        explorers=start_pool("explorer", partial(toys.explorer, QUICK)),
        sampler=start_pool("sampler", partial(toys.sampler, QUICK)),
    )


def run(
    start_pool: StartPool,
    names: tuple[str, ...],
    trials: int | None = None,
    seconds: float | None = None,
    earlier: tuple[Record, ...] = (),
    layers: int = 1,
    builder: Callable = toys.ToyBuilder,
    runner: Callable = toys.ToyRunner,
    seed: int = 0,
    separate: bool = False,
) -> tuple[Notes, list[Tuner]]:
    """Runs an engine on toy tasks; cost model, explorer and sampler may be pools of their own."""
    notes = Notes()

    async def body() -> list[Tuner]:
        system = searching(start_pool, separate)
        measurer = Measurer(start_pool("builder", builder), start_pool("runner", runner))
        pools = (*system.pools(), *measurer.pools())
        await asyncio.gather(*(pool.ready() for pool in pools))
        tuners = [Tuner(toys.task(name), system, QUICK, seed) for name in names]
        for tuner in tuners:
            tuner.observe([r for r in earlier if r.task == tuner.task.digest])
        began = time.perf_counter()
        clock = lambda: time.perf_counter() - began  # noqa: E731
        budget = Budget(tuners, Budgeting(), trials, seconds, clock)
        sequence = max((r.sequence + 1 for r in earlier), default=0)
        engine = Engine(budget, measurer, "toy", notes, clock, layers, count(sequence))
        try:
            await engine.run()
        finally:
            for pool in pools:
                pool.close()
        return tuners

    return notes, asyncio.run(body())


def every_configuration_is_one_record(start_pool: StartPool) -> None:
    notes, tuners = run(start_pool, ("convolution-a", "sketched-a"), trials=90, layers=2)
    keys = Counter((record.task, record.config) for record in notes.records)
    assert max(keys.values()) == 1
    assert len(notes.records) == 90
    assert sorted(record.sequence for record in notes.records) == list(range(90))
    assert sum(record.config == DEFAULT for record in notes.records) == 2
    assert sum(len(tuner.records) for tuner in tuners) == 90


def an_exhausted_space_ends_the_run(start_pool: StartPool) -> None:
    notes, _ = run(start_pool, ("tiny-a",))
    assert sorted(record.config for record in notes.records) == [(), (0, 0), (0, 1), (0, 2)]
    assert list(notes.reasons.values()) == ["its whole space was measured"]


def a_deadline_ends_the_run(start_pool: StartPool) -> None:
    notes, _ = run(start_pool, ("convolution-a", "sketched-a"), seconds=1.5, layers=2)
    assert notes.records
    assert max(record.finished for record in notes.records) < 3


def failures_are_records(start_pool: StartPool) -> None:
    builder = partial(toys.ToyBuilder, 3)
    notes, _ = run(start_pool, ("convolution-a",), trials=60, builder=builder)
    statuses = Counter(record.status for record in notes.records)
    assert statuses["invalid"] > 0
    assert statuses["ok"] > 0
    assert sum(statuses.values()) == 60
    assert all(record.error for record in notes.records if record.status == "invalid")


def a_resumed_run_measures_nothing_twice(start_pool: StartPool) -> None:
    first, _ = run(start_pool, ("convolution-a",), trials=40)
    second, tuners = run(start_pool, ("convolution-a",), trials=40, earlier=tuple(first.records))
    keys = {record.config for record in first.records}
    assert len(keys | {record.config for record in second.records}) == 80
    assert min(record.sequence for record in second.records) == 40
    assert min(record.plan for record in second.records) > 0
    assert len(tuners[0].records) == 80


CHECKS = (
    every_configuration_is_one_record,
    an_exhausted_space_ends_the_run,
    a_deadline_ends_the_run,
    failures_are_records,
    a_resumed_run_measures_nothing_twice,
)
