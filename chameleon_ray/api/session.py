"""One session of tuning: its stages in order, from the import of its models to verified results.

Import while the workers warm up, search all models' layers with one budget, choose winners; then,
model by model, compile, verify and time. ``chameleon tune`` is a session of one model.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from chameleon_ray.api.algorithms import UserError
from chameleon_ray.api.concurrency import in_thread, interruptible, together, wall_limit
from chameleon_ray.api.device_group import DeviceGroup, device_groups, portions, wanted
from chameleon_ray.api.model import End, Model, versions
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.pools import layers_in_flight, start_pools
from chameleon_ray.api.timekeeper import Timekeeper, forecast_of
from chameleon_ray.api.watchers import Watchers, watchers_of
from chameleon_ray.budget import Budget
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.engine import Engine, Watcher
from chameleon_ray.folder import RunFolder, ZooFolder
from chameleon_ray.ledger import Account
from chameleon_ray.merging import Merged, merged
from chameleon_ray.options import Request, Search
from chameleon_ray.pool import Pool
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.transfer import Transfer
from chameleon_ray.tuner import Tuner
from chameleon_ray.winners import Winner, corrected


@dataclass
class TuningSession:
    """What the stages share.

    Attributes:
        request: What the user asked for; of a zoo, what its models have in common.
        kind: That of the targets.
        search: The search system it names.
        folder: Where records and agents are kept; the model's own where there is one.
        models: What is tuned.
        progress: Told what happens.
        began: ``time.perf_counter()`` when the command began.
        search_cores: For search and builds.
        timing_cores: For timing alone.
        transfer: What tasks know of each other; None where they learn nothing from others.
        groups: Where layers are timed: one for every type of device, once that is known.
        layers: The models' layers, once they were imported.
        runners: At the end.
    """

    request: Request
    kind: TargetKind
    search: Search
    folder: RunFolder
    models: list[Model]
    progress: Progress
    began: float
    search_cores: tuple[int, ...]
    timing_cores: tuple[int, ...]
    transfer: Transfer | None = None
    groups: list[DeviceGroup] = field(default_factory=list)
    layers: Merged = field(default_factory=lambda: merged([]))
    runners: int = 1
    _housed: Model | None = None

    async def run(self) -> None:
        """All stages; leaves in every model its result or its failure.

        Raises:
            UserError: Nothing can come of any of them.
            Stopped: The user interrupted it.
        """
        with ExitStack() as stack:
            process = ModelProcess(self.kind, self.timing_cores, stack)
            device = self.kind.device_name(len(self.timing_cores))
            for model in self.models:
                model.device = device
            preparing = in_thread(self.prepare, process) if device else None
            system, pools = self.start_pool(stack)
            ready = [asyncio.create_task(pool.ready()) for pool in pools]
            if not device:
                surveys = [group.survey(self.kind, self.progress) for group in self.groups]
                await asyncio.gather(*surveys)
            await (preparing or in_thread(self.prepare, process))
            records = self.folder.database.read()
            tuners = self.tuners(system, records)
            watcher = watchers_of(
                self.request, self.search, self.folder, self.progress, tuners, stack
            )
            with interruptible():
                await self.explore(tuners, watcher, records)
                winners = await self.choose()
            await asyncio.gather(*ready)
            await asyncio.to_thread(self.finish, process, winners)
            self.conclude(winners, await self.accounts(pools, process))

    def start_pool(self, stack: ExitStack) -> tuple[SearchSystem, list[Pool]]:
        """Starts all pools, which ``stack`` lets go, and gives every model its group."""
        system, measurers = start_pools(
            self.request,
            self.kind,
            self.search,
            self.search_cores,
            self.timing_cores,
            wanted(self.models),
            self.began,
            stack,
            self.progress.note,
        )
        self.groups = device_groups(measurers, self.models, self.request, self.progress)
        measuring = [pool for group in self.groups for pool in group.measurer.pools()]
        return system, list(dict.fromkeys((*system.pools(), *measuring)))  # they share the builders

    def prepare(self, process: ModelProcess) -> None:
        """Imports the models, one after the other, and merges their layers.

        Raises:
            UserError: None can be imported.
        """
        if self.folder.begun and isinstance(self.folder, ZooFolder):
            self.folder.identify(self.identity)
        for model in self.left():
            with model.trying(self.progress):
                self.progress.phase(f"importing {model.called}")
                self.house(model, process)
                for note in model.known.notes:
                    self.progress.note(f"{model.name}: {note}" if model.name else note)
                if isinstance(self.folder, ZooFolder):
                    self.folder.identify(self.identity)
                model.folder.identify(model.identity(self.search, self.layout))
        self.layers = merged([(model.weight, model.known.tasks) for model in self.left()])

    def house(self, model: Model, process: ModelProcess) -> None:
        """Has the process hold a model, and only that one: weights of several may not fit."""
        if self._housed is model:
            return
        if self._housed is not None:
            process.clear()
        self._housed = model
        model.prepared = process.prepare(model.request)

    def tuners(self, system: SearchSystem, records: list[Record]) -> list[Tuner]:
        """One for every task, with what earlier sessions learnt about it."""
        tuners = []
        for task in self.layers.tasks:
            tuner = Tuner(task, system, self.search, self.request.seed, self.transfer)
            tuner.inherit(self.folder.load_agent(self.search.explorer, task.digest))
            tuner.observe([record for record in records if record.task == task.digest])
            tuners.append(tuner)
        return tuners

    async def explore(self, tuners: list[Tuner], watcher: Watcher, records: list[Record]) -> None:
        """Searches on all groups at once until the budget is spent."""
        request, limit = self.request, wall_limit(self.request, len(self.models))
        builders = max(len(await self.groups[0].measurer.builders.accounts()), 1)
        pools = [group.measurer.runners for group in self.groups]
        devices = max(sum([len(await pool.accounts()) for pool in pools]), 1)
        forecast = forecast_of(self.left(), self._housed, tuners, builders, devices)
        keeper = Timekeeper(forecast, limit, self.elapsed(), self.progress)
        deadline = keeper.deadline
        earlier = max((r.finished for r in records), default=0.0)
        self.progress.began([t.task for t in tuners], deadline, request.trials, records, devices)
        self.progress.phase("searching")
        numbers = count(max((r.sequence + 1 for r in records), default=0))
        trials = None if request.trials is None else max(request.trials - len(records), 0)
        own = [[t for t in tuners if t.task.digest in g.digests] for g in self.groups]
        tunable = [sum(bool(t.task.space.knobs) for t in mine) for mine in own]
        engines = [
            Engine(
                budget=Budget(mine, request.budgeting, portion, deadline, self.elapsed),
                measurer=group.measurer,
                device=group.device,
                watcher=Watchers(watcher, keeper),
                clock=lambda: earlier + self.elapsed(),
                layers_in_flight=layers_in_flight(request, len(self.search_cores)),
                sequence=numbers,
            )
            for group, mine, portion in zip(
                self.groups, own, portions(trials, tunable), strict=True
            )
        ]
        keeper.budgets = [engine.budget for engine in engines]
        for engine in engines:
            for digest, layer in engine.budget.layers.items():
                if layer.finished:
                    self.progress.finished(digest, layer.finished)
        pairs = zip(self.groups, engines, strict=True)
        await together(group.explore(engine, self.progress) for group, engine in pairs)

    async def choose(self) -> dict[str, Winner]:
        """Every layer's winner by digest; candidates found wrong are recorded as such.

        Raises:
            UserError: No measurement of any model succeeded.
        """
        self.progress.phase("choosing winners")
        records = self.folder.database.read()
        for model in self.left():
            with model.trying(self.progress):
                model.demand_success(records)
        self.left()
        by_task: dict[str, list[Record]] = {task.digest: [] for task in self.layers.tasks}
        for record in records:
            by_task.get(record.task, []).append(record)
        options, tasks = self.request.confirming, self.layers.tasks
        choosing = [g.choose(tasks, by_task, options, self.progress) for g in self.groups]
        winners = [winner for own in await together(choosing) for winner in own]
        self.folder.database.append(corrected(records, winners))
        return {winner.task: winner for winner in winners}

    def finish(self, process: ModelProcess, winners: dict[str, Winner]) -> None:
        """Compiles and verifies every model; first the one that its process still holds."""
        records = self.folder.database.read()
        pairs = [(model, group) for group in self.groups for model in group.left]
        for model, group in sorted(pairs, key=lambda pair: pair[0] is not self._housed):
            with model.trying(self.progress):
                process.elsewhere = group.bench
                if model.folder is not self.folder:
                    model.folder.database.append(model.own(records))
                self.house(model, process)
                model.finish = model.complete(process, winners, self.progress)

    def conclude(self, winners: dict[str, Winner], accounts: list[Account]) -> None:
        """Gives every model that was finished its result.

        Raises:
            UserError: None was.
        """
        left = self.left()
        self.runners = max(sum("runner" in a.name for a in accounts), 1)
        end = End(
            search=self.search,
            winners=winners,
            records=self.folder.database.read(),
            accounts=tuple(accounts),
            busy_share=self.busy_share,
            elapsed=self.elapsed(),
        )
        for model in left:
            model.result = model.conclude(end)

    def left(self) -> list[Model]:
        """The models that have not failed.

        Raises:
            UserError: All have.
        """
        left = [model for model in self.models if not model.failure]
        if not left:
            alike = len({model.failure for model in self.models}) == 1 < len(self.models)
            told = [model.failure if alike else model.told for model in self.models]
            raise UserError(" ".join(dict.fromkeys(told)))
        return left

    async def accounts(self, pools: Iterable[Pool], process: ModelProcess) -> list[Account]:
        """Where the time of every process went, this one first."""
        own = time.process_time()
        driver = Account("driver", {"drive": own}, self.elapsed() - own)
        accounts = [driver, process.account(self.began)]
        for pool in pools:
            accounts += await pool.accounts()
        return accounts

    @property
    def device(self) -> str:
        """What layers are timed on, for people."""
        return ", ".join(dict.fromkeys(model.device for model in self.models if model.device))

    @property
    def layout(self) -> str:
        """The layout of convolutions."""
        return self.kind.layout_of(self.request.layout)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two zoos the same, and what was asked for."""
        return {
            "device": "" if len(self.groups) > 1 else self.device,
            "layout": self.layout,
            "models": {model.name: asdict(model.request) for model in self.models},
            "options": {**asdict(self.request), "search": asdict(self.search)},
            "versions": versions(),
        }

    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.perf_counter() - self.began

    @property
    def busy_share(self) -> float:
        """Of the time of all runners, what they executed kernels in, in the search."""
        return self.progress.device_seconds / self.elapsed() / self.runners
