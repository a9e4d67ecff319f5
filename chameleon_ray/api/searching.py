"""The search of a session: tuners, budgets and engines of all its layers."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

from chameleon_ray.api.ceiling import ceiling_of
from chameleon_ray.api.concurrency import in_thread, together, wall_limit
from chameleon_ray.api.device_group import DeviceGroup, portions
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.pools import layers_in_flight
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.api.timekeeper import Timekeeper, forecast_of
from chameleon_ray.api.watchers import Watchers, watchers_of
from chameleon_ray.budget import Budget
from chameleon_ray.engine import Engine, Watcher
from chameleon_ray.forecast import Forecast
from chameleon_ray.record import Record, own
from chameleon_ray.report.format import clock
from chameleon_ray.report.progress import Progress
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.store.knowledge import Known
from chameleon_ray.tuner import Tuner


@dataclass(frozen=True)
class Searching:
    """The search of a session.

    Attributes:
        site: Directories and models of the session.
        setup: Search system, and cores to work on.
        progress: Progress of the command, which is told what happens.
        clock: Returns the seconds since the command began.
        earlier: Seconds that earlier commands searched, which the records' times go on from.
    """

    site: Site
    setup: Setup
    progress: Progress
    clock: Callable[[], float]
    earlier: float = 0.0

    async def run(
        self,
        system: SearchSystem,
        groups: Sequence[DeviceGroup],
        imported: Imported,
        process: ModelProcess,
        stack: ExitStack,
    ) -> Timekeeper:
        """Searches on all device groups at once until the budget is spent.

        Returns:
            The timekeeper, which knows what the end may take.
        """
        request, records = self.site.request, imported.records
        tuners = self.tuners(system, imported)
        forecast = await self.forecast(groups, imported, process, tuners)
        limit = wall_limit(request, len(self.site.models))
        watcher = watchers_of(
            request, self.setup.search, self.site.folder, self.progress, tuners, stack
        )
        shared = [group.share(tuners, imported.prepared) for group in groups]
        budgets = self.budgets(shared, records)
        keeper = Timekeeper(forecast, limit, self.clock(), self.progress, budgets, self.clock)
        tasks, trials = [tuner.task for tuner in tuners], request.trials
        self.progress.began(tasks, keeper.deadline, trials, records, forecast.runners)
        self.progress.phase("searching")
        keeper.keep()
        if limit is not None and keeper.late > request.confirming.reserve * limit:
            self.progress.note(_too_late(keeper, limit))
        for budget in budgets:
            for digest in imported.settled.keys() & budget.layers.keys():
                budget.retire(budget.layers[digest].tuner, imported.settled[digest])
            for digest, layer in budget.layers.items():
                if layer.finished:
                    self.progress.finished(digest, layer.finished)
        await self.measure_peak([budget for budget in budgets if budget.open])
        engines = self.engines(groups, budgets, Watchers(watcher, keeper), records)
        pairs = zip(groups, engines, strict=True)
        await together(group.explore(engine, self.progress) for group, engine in pairs)
        return keeper

    def tuners(self, system: SearchSystem, imported: Imported) -> list[Tuner]:
        """Makes one tuner for every layer, with what earlier sessions learnt about it."""
        tuners, search, before = [], self.setup.search, imported.before
        for task in imported.layers.tasks:
            tuner = Tuner(task, system, search, self.site.request.seed, self.setup.transfer)
            tuner.inherit(self.site.folder.agents.load(search.explorer, task.digest))
            tuner.observe([record for record in imported.records if record.task == task.digest])
            tuner.suggested = imported.known.get(task.digest, Known()).candidates
            tuner.before = before.get(task.layer)
            tuners.append(tuner)
        return tuners

    async def forecast(
        self,
        groups: Sequence[DeviceGroup],
        imported: Imported,
        process: ModelProcess,
        tuners: Iterable[Tuner],
    ) -> Forecast:
        """Makes the forecast of the session's end from what is known before the search."""
        builders = len(await groups[0].measurer.builders.accounts())
        runners = [len(await group.measurer.runners.accounts()) for group in groups]
        left = {model: imported.prepared[model] for model in self.site.left()}
        measurers = [group.measurer for group in groups]
        workers = max(builders, 1), max(sum(runners), 1)
        starting = next((phase.began for phase in self.progress.phases), 0.0)
        how = (groups[0].bench is not None, self.site.together)
        return forecast_of(left, process, tuners, measurers, *workers, starting, *how)

    def budgets(self, tuners: Sequence[list[Tuner]], records: Sequence[Record]) -> list[Budget]:
        """Makes a budget for each device group, and shares the trials that are left by layers.

        Args:
            tuners: Tuners of each group's layers.
            records: Records of earlier sessions.
        """
        request = self.site.request
        tunable = [sum(bool(tuner.task.space.knobs) for tuner in group) for group in tuners]
        trials = None if request.trials is None else max(request.trials - len(own(records)), 0)
        pairs = zip(tuners, portions(trials, tunable), strict=True)
        return [
            Budget(group, request.budgeting, share, None, self.clock, request.until)
            for group, share in pairs
        ]

    async def measure_peak(self, budgets: Sequence[Budget]) -> None:
        """Measures what the timing cores can do at most, where there are budgets to tell it to."""
        ceiling = await in_thread(ceiling_of, self.setup, self.site.request) if budgets else None
        for budget in budgets:
            budget.peak = math.inf if ceiling is None else ceiling.flops

    def engines(
        self,
        groups: Sequence[DeviceGroup],
        budgets: Sequence[Budget],
        watcher: Watcher,
        records: Sequence[Record],
    ) -> list[Engine]:
        """Makes an engine for each device group.

        Args:
            groups: Device groups of the session.
            budgets: Budget of each group.
            watcher: Watcher that is told what the engines do.
            records: Records of earlier sessions.
        """
        numbers = count(max((record.sequence + 1 for record in records), default=0))
        return [
            Engine(
                budget=budget,
                measurer=group.measurer,
                device=group.device,
                watcher=watcher,
                clock=lambda: self.earlier + self.clock(),
                layers_in_flight=layers_in_flight(self.site.request, len(self.setup.search_cores)),
                sequence=numbers,
            )
            for group, budget in zip(groups, budgets, strict=True)
        ]


def _too_late(keeper: Timekeeper, limit: float) -> str:
    """Tells that a search begins too late for the end to be in time."""
    return (
        f"The search begins after {clock(keeper.began)} of {clock(limit)}, and the end takes about "
        f"{clock(keeper.forecast.after)}: the command takes longer than --minutes."
    )
