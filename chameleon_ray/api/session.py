"""One session of tuning, from the import of its models to their verified results.

The models are imported while the workers start. All models' layers are searched with one budget,
and their winners chosen. Then each model is compiled, verified and timed. ``chameleon tune`` is a
session of one model.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from chameleon_ray.api.agreeing import agreed
from chameleon_ray.api.comparing import Comparer
from chameleon_ray.api.compiled_model import (
    CompiledModel,
    SessionEnd,
    result_of,
)
from chameleon_ray.api.concurrency import (
    Stop,
    guarded,
    in_thread,
    starting,
    wall_limit,
    within,
)
from chameleon_ray.api.device_group import DeviceGroup, device_groups, wanted
from chameleon_ray.api.finishing import Finish
from chameleon_ray.api.first_verdict import judged
from chameleon_ray.api.imported import Imported, demand_own
from chameleon_ray.api.joint_library import JointFinish
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.neighbours import beside
from chameleon_ray.api.pools import start_pools, workers_lost
from chameleon_ray.api.searching import Searching
from chameleon_ray.api.session_model import SessionModel, versions
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.api.tuning import tuned
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.folder import RunFolder, ZooFolder
from chameleon_ray.layer_names import of_model
from chameleon_ray.ledger import Account
from chameleon_ray.merging import Merged, merged
from chameleon_ray.options import Request
from chameleon_ray.pool import Pool
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.winners import Winner

UPGRADED = (
    "This run was begun with another version, which may have timed layers in another way; the "
    "fastest candidates are timed again at the end, but only a new run compares all alike."
)


@dataclass(frozen=True)
class SessionResult:
    """The result of a session.

    Attributes:
        results: Result of each model that was finished.
        prepared: ``Prepared`` of each model that could be imported.
        layers: Distinct layers of the models.
        device: Devices that layers were timed on, for people.
        wall_seconds: Seconds from the command's start to the end.
        busy_share: Share of all runners' time in which they executed kernels in the search.
    """

    results: Mapping[SessionModel, RunResult]
    prepared: Mapping[SessionModel, Prepared]
    layers: Merged
    device: str
    wall_seconds: float
    busy_share: float


@dataclass
class TuningSession:
    """A session as stages, in order; each is handed the results of earlier ones.

    Attributes:
        site: Directories and models of the session.
        setup: Search system, and cores to work on.
        progress: Progress of the command, which is told what happens. Its clock began with the
            command.
        earlier: Seconds that earlier commands searched.
        stop: Ends the session upon a signal, or from another thread.
        request: The site's options, which all models have in common.
        folder: The site's directory of records and agents.
        models: The site's models, those that failed included.
        began: ``time.perf_counter()`` when the command began.
    """

    site: Site
    setup: Setup
    progress: Progress
    earlier: float
    stop: Stop
    request: Request = field(init=False)
    folder: RunFolder = field(init=False)
    models: list[SessionModel] = field(init=False)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        site = self.site
        self.request, self.folder, self.models = site.request, site.folder, site.models
        self.began = time.perf_counter() - self.progress.elapsed
        self.progress.whole_limit = wall_limit(self.request, len(self.models))
        self.progress.compares = bool(self.request.compare)

    async def run(self) -> SessionResult:
        """Runs all stages; a model that cannot be finished keeps the reason as its failure.

        Raises:
            UserError: No model can be finished.
            RayLost: The private Ray was lost; the session can be run again.
            Stopped: The user interrupted the session.
        """
        with self.stop.ending(), ExitStack() as stack:
            kind, cores, copies = self.setup.kind, self.setup.timing_cores, self.request.instances
            neighbours = stack.enter_context(beside(self.site, self.setup, self.progress))
            process = ModelProcess(kind, cores, stack, copies)
            comparer = Comparer(kind, cores, stack, self.setup.search_cores, copies)
            device = self.name_devices(kind.device_name(len(cores), copies))
            working = stack.enter_context(ExitStack())
            async with guarded(partial(workers_lost, self.request)):
                importing = in_thread(self.prepare, process) if device else None
                system, groups, pools = self.start(working)
                ready = [asyncio.create_task(pool.ready()) for pool in pools]
                if not device:  # only a runner knows the device
                    await asyncio.gather(*(group.survey(kind, self.progress) for group in groups))
                imported = await (importing or in_thread(self.prepare, process))
                imported = await in_thread(self.judge, groups, imported, process)
                neighbours.tell()
                about = (self.site, self.setup, self.progress, self.elapsed, self.earlier)
                searching = Searching(*about)
                keeper, found = await tuned(searching, system, groups, imported, process, working)
                winners = self.agreed(imported, found)
                neighbours.tell()
                await within(self.request.placing.account_seconds, ready)  # they are needed no more
                accounts, then = await accounts_of(pools), self.elapsed()
            if not (elsewhere := any(group.bench for group in groups)):
                working.close()  # its workers have nothing left to do, and frameworks need memory
            finish = JointFinish if self.site.together else Finish
            finishing = finish(self.folder, process, comparer, self.progress)
            async with guarded(partial(workers_lost, self.request, elsewhere)):
                compiled = await in_thread(finishing.all, groups, imported, winners, keeper)
            done = [one.ended(self.elapsed() - then) for one in accounts]
            others = await accounts_of(pools) if elsewhere else done
            return self.conclude(imported, winners, compiled, [*self.accounts(process), *others])

    def name_devices(self, device: str) -> str:
        """Gives all models the name of their device, which is empty where it is not known yet."""
        for model in self.models:
            model.device = device
        return device

    def start(self, stack: ExitStack) -> tuple[SearchSystem, list[DeviceGroup], list[Pool]]:
        """Starts all pools, which ``stack`` closes, and gives every model its device group."""
        setup = self.setup
        with starting(partial(workers_lost, self.request)):
            system, measurers = start_pools(
                self.request,
                setup.kind,
                setup.search,
                setup.search_cores,
                setup.timing_cores,
                wanted(self.models),
                self.began,
                stack,
                self.progress.note,
            )
        groups = device_groups(measurers, self.models, self.request, self.progress)
        measuring = [pool for group in groups for pool in group.measurer.pools()]
        return system, groups, list(dict.fromkeys((*system.pools(), *measuring)))

    def prepare(self, process: ModelProcess) -> dict[SessionModel, Prepared]:
        """Imports the models and compiles them without tuning, one after the other.

        Args:
            process: Process that holds one model at a time, as weights of several may not fit.

        Raises:
            UserError: No model can be imported and compiled.
        """
        prepared: dict[SessionModel, Prepared] = {}
        for model in self.site.left():
            with model.trying(self.progress):
                self.progress.phase(f"importing {model.called}")
                known = process.prepare(model.request)
                for note in known.notes:
                    self.progress.note(model.saying(note))
                if model.folder.begun:  # another model's directory is left as it is
                    model.folder.identify(model.identity(known, self.setup.search))
                self.progress.phase(f"compiling {model.called} untuned")
                if not self.request.on_cluster:
                    process.expect_questions()
                process.compile_untuned(model.folder.untuned_library)
                prepared[model] = known
        if any(model.folder.upgraded for model in prepared):
            self.progress.note(UPGRADED)
        self.site.left()
        return prepared

    def judge(
        self,
        groups: Sequence[DeviceGroup],
        prepared: Mapping[SessionModel, Prepared],
        process: ModelProcess,
    ) -> Imported:
        """Runs the untuned models, keeps those that compute the right outputs, merges their layers.

        Raises:
            UserError: No model is left.
        """
        right = dict(prepared)
        for model, known in judged(groups, prepared, process, self.progress):
            with model.trying(self.progress):
                if isinstance(self.folder, ZooFolder):
                    self.folder.identify(self.identity(len(groups) > 1))
                model.folder.identify(model.identity(known, self.setup.search))
            right[model] = known
        layers = merged(
            [(model.weight, of_model(model.name, right[model].tasks)) for model in self.site.left()]
        )
        records = self.folder.database.read()
        demand_own(records, layers.tasks, self.folder.database.folder)
        return Imported(right, layers, records)

    def agreed(self, imported: Imported, winners: Mapping[str, Winner]) -> Mapping[str, Winner]:
        """Returns the winners; buckets have lowerings in common where that costs little."""
        if not self.site.together:
            return winners
        tasks = [imported.prepared[model].tasks for model in self.site.left()]
        return agreed(winners, tasks, self.folder.database.read(), self.request.confirming)

    def conclude(
        self,
        imported: Imported,
        winners: Mapping[str, Winner],
        compiled: Mapping[SessionModel, CompiledModel],
        accounts: Sequence[Account],
    ) -> SessionResult:
        """Returns the result of the session, with all models that were finished.

        Raises:
            UserError: No model was finished.
        """
        left, elapsed = self.site.left(), self.elapsed()
        runners = max(sum("runner" in account.name for account in accounts), 1)
        busy = self.progress.device_seconds / elapsed / runners
        records = self.folder.database.read()
        end = SessionEnd(self.setup.search, winners, records, tuple(accounts), busy, elapsed)
        results = {model: result_of(model, compiled[model], end) for model in left}
        return SessionResult(
            results, imported.prepared, imported.layers, self.device, elapsed, busy
        )

    def accounts(self, process: ModelProcess) -> list[Account]:
        """Returns the accounts of the time of this process and of the models'."""
        spent = time.process_time()
        driver = Account("driver", {"drive": spent}, self.elapsed() - spent)
        return [driver, process.account(self.began)]

    @property
    def device(self) -> str:
        """Names of the devices that layers are timed on, for people."""
        return ", ".join(dict.fromkeys(model.device for model in self.models if model.device))

    @property
    def layout(self) -> str:
        """The layout of the convolutions of models that come in float32."""
        kind, request = self.setup.kind, self.request
        return kind.layout_of(request.layout, kind.mixed and request.precision != "float32")

    def identity(self, several_devices: bool) -> dict[str, Any]:
        """Returns the identity of a zoo, which its directory keeps, and the options asked for."""
        return {
            "device": "" if several_devices else self.device,
            "layout": self.layout,
            "models": {model.name: asdict(model.request) for model in self.models},
            "options": {**asdict(self.request), "search": asdict(self.setup.search)},
            "versions": versions(),
        }

    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.perf_counter() - self.began


async def accounts_of(pools: Iterable[Pool]) -> list[Account]:
    """Returns the accounts of the time of all pools' workers."""
    return [account for pool in pools for account in await pool.accounts()]
