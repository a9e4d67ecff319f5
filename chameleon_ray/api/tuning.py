"""One ``chameleon tune``: its stages in order, from the import of the model to the verified result.

Import while the workers warm up, search, choose winners, compile, verify and time.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from chameleon_ray.api.choices import Stopped, UserError
from chameleon_ray.api.crews import hire_all, layers_in_flight
from chameleon_ray.api.home import ModelHome
from chameleon_ray.api.recorder import Recorder
from chameleon_ray.budget import Budget
from chameleon_ray.compiler.host import Prepared
from chameleon_ray.compiler.target import device_name
from chameleon_ray.crew import Crew
from chameleon_ray.engine import Engine
from chameleon_ray.folder import RunFolder
from chameleon_ray.ledger import Account
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Request, Search
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Latency, Outcome, RunResult, Verified
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.transfer import Transfer
from chameleon_ray.tuner import Tuner
from chameleon_ray.winners import Winner, choose

PACKAGES = ("chameleon_ray", "apache-tvm", "apache-tvm-ffi", "ray", "xgboost", "torch", "numpy")


@dataclass(frozen=True)
class Finish:
    """The compiled model: latencies, verification, and winners that were not applied."""

    tuned: Latency
    untuned: Latency
    verified: Verified
    lost: int


@dataclass
class Tuning:
    """What the stages share.

    Attributes:
        request: What the user asked for.
        search: The search system it names.
        folder: Where everything is kept.
        progress: Told what happens.
        began: ``time.perf_counter()`` when the command began.
        search_cores: For search and builds.
        timing_cores: For timing alone.
        transfer: What tasks know of each other; None where they learn nothing from others.
    """

    request: Request
    search: Search
    folder: RunFolder
    progress: Progress
    began: float
    search_cores: tuple[int, ...]
    timing_cores: tuple[int, ...]
    transfer: Transfer | None = None

    async def run(self) -> RunResult:
        """All stages."""
        with ExitStack() as stack:
            home = ModelHome(self.timing_cores, stack)
            self.progress.phase("importing the model")
            loop = asyncio.get_running_loop()
            preparing = loop.run_in_executor(None, home.prepare, self.request)
            preparing.add_done_callback(_heard)
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
            prepared = await preparing
            for note in prepared.notes:
                self.progress.note(note)
            records = self.folder.resume(self.identity(prepared))
            with _interruptible():
                await self.explore(self.tuners(prepared, system, records), measurer, records)
                winners = await self.choose(prepared, measurer)
            await asyncio.gather(*ready)
            finish = await asyncio.to_thread(self.finish, home, prepared, winners)
            accounts = await self.accounts(crews, home)
            return self.result(prepared, winners, finish, accounts)

    def identity(self, prepared: Prepared) -> dict[str, Any]:
        """What makes two runs the same; the directory holds one."""
        return {
            "model": prepared.name,
            "model_digest": prepared.digest,
            "target": prepared.target,
            "device": self.device,
            "layout": self.request.layout,
            "spaces": {task.digest: task.space.digest for task in prepared.tasks},
            "layers": {task.digest: task.name for task in prepared.tasks},
            "inputs": [[list(array.shape), str(array.dtype)] for array in prepared.inputs],
            "options": {**asdict(self.request), "search": asdict(self.search)},
            "versions": self.versions,
        }

    def tuners(
        self, prepared: Prepared, system: SearchSystem, records: list[Record]
    ) -> list[Tuner]:
        """One for every task, with what earlier sessions learnt about it."""
        tuners = []
        for task in prepared.tasks:
            tuner = Tuner(task, system, self.search, self.request.seed, self.transfer)
            tuner.inherit(self.folder.load_agent(self.search.explorer, task.digest))
            tuner.observe([record for record in records if record.task == task.digest])
            tuners.append(tuner)
        return tuners

    async def explore(self, tuners: list[Tuner], measurer: Measurer, records: list[Record]) -> None:
        """Searches until the budget is spent."""
        request, earlier = self.request, max((r.finished for r in records), default=0.0)
        limit = self._wall_limit()
        deadline = None if limit is None else limit * (1 - request.confirming.reserve)
        trials = None if request.trials is None else max(request.trials - len(records), 0)
        budget = Budget(tuners, request.budgeting, trials, deadline, self._elapsed)
        self.progress.began([t.task for t in tuners], deadline, request.trials, records)
        self.progress.phase("searching")
        for digest, layer in budget.layers.items():
            if layer.finished:
                self.progress.finished(digest, layer.finished)
        engine = Engine(
            budget=budget,
            measurer=measurer,
            device=self.device,
            watcher=Recorder(self.folder, self.search.explorer, self.progress),
            clock=lambda: earlier + self._elapsed(),
            layers_in_flight=layers_in_flight(request, len(self.search_cores)),
            sequence=max((r.sequence + 1 for r in records), default=0),
        )
        await engine.run()

    async def choose(self, prepared: Prepared, measurer: Measurer) -> list[Winner]:
        """Every layer's winner; candidates found wrong are recorded as such."""
        self.progress.phase("choosing winners")
        records = self.folder.database.read()
        by_task: dict[str, list[Record]] = {task.digest: [] for task in prepared.tasks}
        for record in records:
            by_task[record.task].append(record)
        if not any(record.latencies for record in records):
            raise UserError(_hopeless(records))
        options = self.request.confirming
        choosing = [choose(t, by_task[t.digest], measurer, options) for t in prepared.tasks]
        winners = await asyncio.gather(*choosing)
        wrong = {(winner.task, config) for winner in winners for config in winner.wrong}
        found = [record for record in records if (record.task, record.config) in wrong]
        corrected = [
            replace(
                record,
                status=Status.WRONG_ANSWER,
                latencies=(),
                sequence=records[-1].sequence + 1 + number,
                error="its output differs from the default schedule's",
            )
            for number, record in enumerate(found)
        ]
        self.folder.database.append(corrected)
        self.folder.save_winners({w.task: (w.config, w.latency) for w in winners})
        return winners

    def finish(self, home: ModelHome, prepared: Prepared, winners: list[Winner]) -> Finish:
        """Compiles the tuned and the untuned model, compares and times them."""
        folder, inputs = self.folder, prepared.inputs
        self.progress.phase("compiling the model")
        chosen = {w.task: (w.config, w.latency) for w in winners if w.config != DEFAULT}
        applied = home.compile_tuned(chosen, folder.library, folder.tvm_database)
        home.compile_untuned(folder.untuned_library)
        self.progress.phase("verifying the model")
        lost = len(chosen) - len(applied)
        if lost:
            self.progress.note(f"{lost} winners could not be applied to the model.")
        verified = home.check(folder.library, prepared, folder.untuned_library)
        libraries = (folder.library, folder.untuned_library)
        tuned, untuned = home.duel(libraries, inputs, self.request.confirming)
        return Finish(Latency.of(tuned), Latency.of(untuned), verified, lost)

    async def accounts(self, crews: tuple[Crew, ...], home: ModelHome) -> list[Account]:
        """Where the time of every process went, this one first."""
        own = time.process_time()
        accounts = [
            Account("driver", {"drive": own}, self._elapsed() - own),
            home.account(self.began),
        ]
        for crew in crews:
            accounts += await crew.accounts()
        return accounts

    def result(
        self, prepared: Prepared, winners: list[Winner], finish: Finish, accounts: list[Account]
    ) -> RunResult:
        """Everything that the summary and the report are made of."""
        seconds: Counter[str] = Counter(prepared.seconds)
        for account in accounts[1:]:
            seconds.update({p: s for p, s in account.busy.items() if p not in prepared.seconds})
        outcomes = [
            Outcome(w.task, w.config, w.default_latency, w.latency, w.reason) for w in winners
        ]
        inputs = enumerate(prepared.inputs)
        runners = sum(account.name.startswith("runner") for account in accounts)
        lost = f"{finish.lost} winners could not be applied to the model." if finish.lost else ""
        return RunResult(
            model=prepared.name,
            target=prepared.target,
            device=self.device,
            seed=self.request.seed,
            preset=self.request.preset,
            explorer=self.search.explorer,
            sampler=self.search.sampler,
            wall_seconds=self._elapsed(),
            seconds=seconds,
            device_busy_fraction=self.progress.device_seconds / self._elapsed() / max(runners, 1),
            tasks=prepared.tasks,
            records=tuple(self.folder.database.read()),
            outcomes=tuple(outcomes),
            processes=tuple(accounts),
            untuned=finish.untuned,
            tuned=finish.tuned,
            verified=finish.verified,
            inputs=tuple((f"input{n}", array.shape, str(array.dtype)) for n, array in inputs),
            explanation=lost,
            folder=self.folder.path,
            settings=asdict(self.request),
            versions=self.versions,
        )

    @property
    def device(self) -> str:
        return device_name(len(self.timing_cores))

    @property
    def versions(self) -> dict[str, str]:
        return {package: version(package) for package in PACKAGES}

    def _elapsed(self) -> float:
        return time.perf_counter() - self.began

    def _wall_limit(self) -> float | None:
        """Seconds that the whole command may take."""
        request = self.request
        if request.minutes is not None:
            return 60 * request.minutes
        return 60 * request.budgeting.minutes if request.trials is None else None


def _heard(future: asyncio.Future) -> None:
    """Takes note of an import's error where something else failed first."""
    if not future.cancelled():
        future.exception()


def _hopeless(records: list[Record]) -> str:
    """Why there is nothing to choose from."""
    if not records:
        return "Nothing was measured in the time given; give more --minutes."
    error, count = Counter(record.error for record in records).most_common(1)[0]
    return f"None of {len(records)} measurements succeeded; {count} times: {error}."


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block cleanly, as ``Stopped``."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, task.cancel)
    try:
        yield
    except asyncio.CancelledError as error:
        raise Stopped from error
    finally:
        for stop in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(stop)
