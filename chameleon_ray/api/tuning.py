"""One session of tuning: its stages in order, from the import of its models to verified results.

Import while the workers warm up, search all models' layers with one budget, choose winners; then,
model by model, compile, verify and time. ``chameleon tune`` is a session of one model.
"""

import asyncio
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from chameleon_ray.api.benching import RunnersBench
from chameleon_ray.api.beside import beside
from chameleon_ray.api.choices import UserError
from chameleon_ray.api.crews import hire_all, layers_in_flight
from chameleon_ray.api.home import ModelHome
from chameleon_ray.api.model import End, Model, versions
from chameleon_ray.api.nodes import demand_same, surveyed
from chameleon_ray.api.stopping import interruptible
from chameleon_ray.api.timekeeper import Timekeeper, closing_of
from chameleon_ray.api.watchers import Watchers, watchers_of
from chameleon_ray.budget import Budget
from chameleon_ray.compiler.target import GPU, device_name, is_gpu, layout_of
from chameleon_ray.crew import Crew
from chameleon_ray.engine import Engine, Watcher
from chameleon_ray.folder import RunFolder, ZooFolder
from chameleon_ray.ledger import Account
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.merging import Merged, merged
from chameleon_ray.options import Request, Search
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.transfer import Transfer
from chameleon_ray.tuner import Tuner
from chameleon_ray.winners import Winner, choose, corrected


@dataclass
class Tuning:
    """What the stages share.

    Attributes:
        request: What the user asked for; of a zoo, what its models have in common.
        search: The search system it names.
        folder: Where records and agents are kept; the model's own where there is one.
        models: What is tuned.
        progress: Told what happens.
        began: ``time.perf_counter()`` when the command began.
        search_cores: For search and builds.
        timing_cores: For timing alone.
        transfer: What tasks know of each other; None where they learn nothing from others.
        gpu: The runner's GPU, for people, at first an earlier session's; empty where a CPU times.
        layers: The models' layers, once they were imported.
        runners: At the end.
    """

    request: Request
    search: Search
    folder: RunFolder
    models: list[Model]
    progress: Progress
    began: float
    search_cores: tuple[int, ...]
    timing_cores: tuple[int, ...]
    transfer: Transfer | None = None
    gpu: str = ""
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
            home = ModelHome(self.timing_cores, stack)
            gpu = is_gpu(self.request.target)
            self.gpu = self.folder.device if gpu else ""
            preparing = None if gpu else beside(self.prepare, home)
            system, measurer = hire_all(
                self.request,
                self.search,
                self.search_cores,
                self.timing_cores,
                self.device,
                self.began,
                stack,
                self.progress.note,
            )
            crews = (*system.crews(), *measurer.crews())
            ready = [asyncio.create_task(crew.ready()) for crew in crews]
            if gpu:
                await self.survey(measurer)
            await (preparing or beside(self.prepare, home))
            records = self.folder.database.read()
            tuners = self.tuners(system, records)
            watcher = watchers_of(
                self.request, self.search, self.folder, self.progress, tuners, stack
            )
            with interruptible():
                await self.explore(tuners, measurer, watcher, records)
                winners = await self.choose(measurer)
            await asyncio.gather(*ready)
            if self.request.on_cluster:
                home.elsewhere = RunnersBench(measurer.runners)
            await asyncio.to_thread(self.finish, home, winners)
            self.conclude(winners, await self.accounts(crews, home))

    async def survey(self, measurer: Measurer) -> None:
        """Learns what GPU times, which completes the targets that leave it open.

        Raises:
            UserError: There is none, or it is not the one that a target names.
        """
        found = await surveyed(measurer)
        self.gpu = found.device
        for model in self.models:
            if model.request.target == GPU:
                model.request = replace(model.request, target=found.target)
            demand_same(model.request.target, found)

    def prepare(self, home: ModelHome) -> None:
        """Imports the models, one after the other, and merges their layers.

        Raises:
            UserError: None can be imported.
        """
        if self.folder.begun and isinstance(self.folder, ZooFolder):
            self.folder.identify(self.identity)
        for model in self.models:
            with model.trying(self.progress):
                self.progress.phase(f"importing {model.called}")
                self.house(model, home)
                for note in model.known.notes:
                    self.progress.note(f"{model.name}: {note}" if model.name else note)
                if isinstance(self.folder, ZooFolder):
                    self.folder.identify(self.identity)
                model.folder.identify(model.identity(self.search, self.device))
        self.layers = merged([(model.weight, model.known.tasks) for model in self.left()])

    def house(self, model: Model, home: ModelHome) -> None:
        """Has the home hold a model, and only that one: weights of several may not fit."""
        if self._housed is model:
            return
        if self._housed is not None:
            home.clear()
        self._housed = model
        model.prepared = home.prepare(model.request)

    def tuners(self, system: SearchSystem, records: list[Record]) -> list[Tuner]:
        """One for every task, with what earlier sessions learnt about it."""
        tuners = []
        for task in self.layers.tasks:
            tuner = Tuner(task, system, self.search, self.request.seed, self.transfer)
            tuner.inherit(self.folder.load_agent(self.search.explorer, task.digest))
            tuner.observe([record for record in records if record.task == task.digest])
            tuners.append(tuner)
        return tuners

    async def explore(
        self, tuners: list[Tuner], measurer: Measurer, watcher: Watcher, records: list[Record]
    ) -> None:
        """Searches until the budget is spent."""
        request, earlier = self.request, max((r.finished for r in records), default=0.0)
        closing = closing_of(self.left(), self._housed, tuners, len(self.search_cores))
        limit, began = self.wall_limit, self.elapsed()
        deadline = None if limit is None else closing.deadline(limit, began)
        trials = None if request.trials is None else max(request.trials - len(records), 0)
        budget = Budget(tuners, request.budgeting, trials, deadline, self.elapsed)
        devices = max(len(await measurer.runners.accounts()), 1)
        self.progress.began([t.task for t in tuners], deadline, request.trials, records, devices)
        self.progress.phase("searching")
        for digest, layer in budget.layers.items():
            if layer.finished:
                self.progress.finished(digest, layer.finished)
        engine = Engine(
            budget=budget,
            measurer=measurer,
            device=self.device,
            watcher=Watchers(watcher, Timekeeper(closing, limit, began, budget, self.progress)),
            clock=lambda: earlier + self.elapsed(),
            layers_in_flight=layers_in_flight(request, len(self.search_cores)),
            sequence=max((r.sequence + 1 for r in records), default=0),
        )
        await engine.run()

    async def choose(self, measurer: Measurer) -> dict[str, Winner]:
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
        options = self.request.confirming
        choosing = [choose(t, by_task[t.digest], measurer, options) for t in self.layers.tasks]
        winners = await asyncio.gather(*choosing)
        self.folder.database.append(corrected(records, winners))
        return {winner.task: winner for winner in winners}

    def finish(self, home: ModelHome, winners: dict[str, Winner]) -> None:
        """Compiles and verifies every model; first the one that its home still holds."""
        records = self.folder.database.read()
        for model in sorted(self.left(), key=lambda model: model is not self._housed):
            with model.trying(self.progress):
                if model.folder is not self.folder:
                    model.folder.database.append(model.own(records))
                self.house(model, home)
                model.finish = model.complete(home, winners, self.progress)

    def conclude(self, winners: dict[str, Winner], accounts: list[Account]) -> None:
        """Gives every model that was finished its result.

        Raises:
            UserError: None was.
        """
        left = self.left()
        self.runners = max(sum(a.name.startswith("runner") for a in accounts), 1)
        end = End(
            search=self.search,
            device=self.device,
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
            raise UserError(" ".join(model.told for model in self.models))
        return left

    async def accounts(self, crews: tuple[Crew, ...], home: ModelHome) -> list[Account]:
        """Where the time of every process went, this one first."""
        own = time.process_time()
        driver = Account("driver", {"drive": own}, self.elapsed() - own)
        accounts = [driver, home.account(self.began)]
        for crew in crews:
            accounts += await crew.accounts()
        return accounts

    @property
    def device(self) -> str:
        return self.gpu or device_name(len(self.timing_cores))

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two zoos the same, and what was asked for."""
        return {
            "device": self.device,
            "layout": layout_of(self.request.layout, self.request.target),
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

    @property
    def wall_limit(self) -> float | None:
        """Seconds that the whole command may take."""
        request = self.request
        if request.minutes is not None:
            return 60 * request.minutes
        if request.trials is not None:
            return None
        return 60 * request.budgeting.minutes * len(self.models)
