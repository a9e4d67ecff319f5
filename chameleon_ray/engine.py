"""The engine: searches many layers at once and measures what their tuners propose.

The engine awaits pools and does not know where they work. With pools in this process it runs
serially. With actors it keeps explorers, builders and runners of different layers busy at the same
time.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from chameleon_ray.budget import Budget
from chameleon_ray.layer_names import title
from chameleon_ray.measure.measurer import Measurement, Measurer
from chameleon_ray.pool import Lost, NoWorkers
from chameleon_ray.record import Record
from chameleon_ray.space import Config
from chameleon_ray.tuner import Tuner
from chameleon_ray.vendor import is_searched, values_of


class Watcher(Protocol):
    """An observer of the engine; its methods run on the event loop and must be quick."""

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None: ...

    def finished(self, task: str, reason: str) -> None: ...

    def planned(self, tuner: Tuner) -> None: ...


logger = logging.getLogger(__name__)
LOOK = 1.0
"""Most seconds between two looks at the deadline, which may be moved."""


@dataclass
class Engine:
    """Runs plans until the budget is spent.

    Attributes:
        budget: Chooses the next layer and decides when to stop.
        measurer: Builds and times configurations.
        device: Device in records whose timing names none.
        watcher: Observer that is told of a record when it exists, and of plans begun and done.
        clock: Returns the seconds since the run began, over all its sessions.
        layers_in_flight: Number of plans under way at once; 1 is serial.
        sequence: Numbers of the records; several engines may share one.
    """

    budget: Budget
    measurer: Measurer
    device: str
    watcher: Watcher
    clock: Callable[[], float]
    layers_in_flight: int
    sequence: Iterator[int] = field(default_factory=count)
    _best: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Runs until the budget is spent; measurements in flight at its deadline are dropped.

        Raises:
            NoWorkers: A pool has no workers left.
            OSError: A record could not be kept.
        """
        self._settled = asyncio.Event()
        workers = [asyncio.create_task(self._work()) for _ in range(self.layers_in_flight)]
        pending = set(workers)
        try:
            while pending and not self.budget.late:
                done, pending = await asyncio.wait(
                    pending, timeout=self._patience(), return_when=asyncio.FIRST_EXCEPTION
                )
                for worker in done:
                    worker.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _patience(self) -> float | None:
        deadline = self.budget.deadline
        return None if deadline is None else min(max(deadline - self.budget.clock(), 0.0), LOOK)

    async def _work(self) -> None:
        """Runs plans one after the other, each of the layer that is next."""
        while self.budget.open:
            tuner = self.budget.next()
            if tuner is None:
                self._settled.clear()
                await self._settled.wait()
                continue
            await self._plan(tuner)
            self._settled.set()
        self._settled.set()

    async def _plan(self, tuner: Tuner) -> None:
        """Runs one plan of a layer: proposes a batch, measures it and learns from the records."""
        plan, began = tuner.plan, time.perf_counter()
        await asyncio.sleep(0)  # other plans that begin now have their layers, too
        try:
            batch = await tuner.propose(self.budget.is_pressed(tuner))
        except NoWorkers:  # nobody is left to search any layer
            raise
        except Lost:  # with a node, which says nothing of the layer
            await self._plan(tuner)
            return
        except Exception as error:  # one layer's search must not end the others'
            logger.warning("the search of %s failed", title(tuner.task), exc_info=True)
            reason = self.budget.retire(tuner, f"its search failed: {error}")
            self.watcher.finished(tuner.task.digest, reason)
            return
        batch = batch[: self.budget.grant(len(batch))]
        share = (time.perf_counter() - began) / max(len(batch), 1)
        self.watcher.proposed(tuner.task.digest, len(batch))
        measuring = [
            asyncio.create_task(self._measure(tuner, config, plan, share)) for config in batch
        ]
        try:
            records = await asyncio.gather(*measuring)
        finally:
            for one in measuring:
                one.cancel()
        tuner.observe(records)
        self.watcher.planned(tuner)
        for task, reason in self.budget.settle(tuner, records).items():
            self.watcher.finished(task, reason)

    async def _measure(self, tuner: Tuner, config: Config, plan: int, share: float) -> Record:
        digest = tuner.task.digest
        measurement = await self.measurer.measure(
            tuner.task, config, lambda: self._best.get(digest, tuner.best_latency)
        )
        record = self._record(tuner, config, plan, share, measurement)
        self._best[digest] = min(record.latency, self._best.get(digest, tuner.best_latency))
        self.watcher.measured(record, measurement.timing.timing_seconds)
        return record

    def _record(
        self, tuner: Tuner, config: Config, plan: int, share: float, measurement: Measurement
    ) -> Record:
        values = tuner.task.space.values(config) if is_searched(config) else values_of(config)
        return Record(
            task=tuner.task.digest,
            target=tuner.task.target,
            device=measurement.timing.device or self.device,
            config=config,
            values=json.dumps(values),
            status=measurement.status,
            latencies=measurement.timing.latencies,
            explore_seconds=share,
            build_seconds=measurement.artifact.seconds,
            run_seconds=measurement.timing.seconds,
            plan=plan,
            sequence=next(self.sequence),
            finished=self.clock(),
            error=measurement.error,
            resources=measurement.artifact.resources,
            conditions=measurement.timing.conditions,
            chosen_by=tuner.chosen_by.get(config, ""),
        )
