"""The composition root: a request in, a tuned and verified model out; sees every floor.

The stages of ``tune`` in their order: import the model while the workers warm up, search, choose
winners, compile, verify and time, write the results.
"""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chameleon_ray.budget import Budget
from chameleon_ray.compiler import bench, host
from chameleon_ray.compiler.build import SINGLE_THREADED, LocalBuilder
from chameleon_ray.compiler.link import LinkError, find_linker
from chameleon_ray.compiler.run import LocalRunner
from chameleon_ray.compiler.target import device_name
from chameleon_ray.crew import Crew, CrewError, LocalCrew
from chameleon_ray.database import DatabaseError
from chameleon_ray.engine import Engine
from chameleon_ray.folder import FolderError, RunFolder
from chameleon_ray.ledger import Account
from chameleon_ray.measure.cores import available, split
from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Setting
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import PRESETS, Request, Search
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.report.html import render
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Latency, Outcome, Process, RunResult, Verified
from chameleon_ray.report.summary import write, write_text
from chameleon_ray.search.adaptive import AdaptiveSampler
from chameleon_ray.search.annealing import AnnealingExplorer
from chameleon_ray.search.boosting import XGBoostCostModel
from chameleon_ray.search.greedy import GreedySampler
from chameleon_ray.search.random_walk import RandomExplorer
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.tuner import Tuner
from chameleon_ray.winners import Winner, choose

PACKAGES = ("chameleon_ray", "apache-tvm", "apache-tvm-ffi", "ray", "xgboost", "torch", "numpy")
SENTENCES = ("ModelError", "TargetError", "LinkError")
"""Errors of the compiler's processes that are already one sentence for the user."""
PHASES = {"build": "build", "run": "run", "contest": "verify", "select": "sample"}


class UserError(Exception):
    """A request that cannot be met, in one sentence: what, where, what to do."""


class Stopped(Exception):
    """The user stopped the run; everything measured so far is kept."""


def _ppo(search: Search) -> Any:
    from chameleon_ray.cluster.ppo import PPOExplorer

    return PPOExplorer(search.ppo, search.sampling.candidates)


def _annealing(search: Search) -> AnnealingExplorer:
    return AnnealingExplorer(search.annealing, search.sampling.candidates)


def _random(search: Search) -> RandomExplorer:
    return RandomExplorer(search.random, search.sampling.candidates)


EXPLORERS: dict[str, Callable[[Search], Any]] = {
    "ppo": _ppo,
    "annealing": _annealing,
    "random": _random,
}
SAMPLERS: dict[str, Callable[[Any], Any]] = {"adaptive": AdaptiveSampler, "greedy": GreedySampler}
Hire = Callable[[str, Callable[[], Any]], Crew]


def search_of(request: Request) -> Search:
    """The preset with the explorer and sampler that were asked for.

    Raises:
        UserError: One of them does not exist.
    """
    search = _choice("preset", request.preset, PRESETS)
    explorer, sampler = request.explorer or search.explorer, request.sampler or search.sampler
    _choice("explorer", explorer, EXPLORERS)
    _choice("sampler", sampler, SAMPLERS)
    return replace(search, explorer=explorer, sampler=sampler)


def _choice(what: str, name: str, among: dict[str, Any]) -> Any:
    if name not in among:
        raise UserError(f"There is no {what} {name!r}; choose one of: {', '.join(among)}.")
    return among[name]


@dataclass
class Recorder:
    """Keeps what the engine tells: records in the database, agents in their files, progress."""

    folder: RunFolder
    progress: Progress

    def proposed(self, task: str, count: int) -> None:
        self.progress.proposed(task, count)

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.folder.database.append([record])
        self.progress.measured(record, timing_seconds)

    def planned(self, tuner: Tuner) -> None:
        self.folder.save_agent(tuner.task.digest, tuner.agent)

    def finished(self, task: str, reason: str) -> None:
        self.progress.finished(task, reason)


@dataclass
class Tuning:
    """One ``chameleon tune``: what its stages share."""

    request: Request
    folder: RunFolder
    progress: Progress
    began: float
    search: Search
    search_cores: tuple[int, ...]
    timing_cores: tuple[int, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    async def run(self) -> RunResult:
        """All stages, in order."""
        with contextlib.ExitStack() as stack:
            home = self._isolate("chameleon_ray.compiler.host:model_host", stack)
            preparing = asyncio.get_running_loop().run_in_executor(None, self._prepare, home)
            system, measurer = self._hire(stack)
            prepared = await preparing
            records = self._resume(prepared)
            tuners = self._tuners(prepared, system, records)
            busy = await self._search(tuners, measurer, records)
            self.progress.phase("choosing winners")
            winners = await self._choose(prepared, measurer)
            accounts = await self._accounts(system, measurer)
            result = self._result(prepared, winners, accounts, busy)
            return await asyncio.to_thread(self._finish, home, prepared, winners, result, stack)

    def _prepare(self, home: Isolate) -> host.Prepared:
        request = self.request
        self.progress.phase("importing the model")
        threads = len(self.timing_cores)
        job = host.Prepare(
            request.model, request.inputs, request.seed, request.target, threads, request.layout
        )
        prepared: host.Prepared = _value(home, job)
        self.seconds |= prepared.seconds
        for note in prepared.notes:
            self.progress.note(note)
        return prepared

    def _hire(self, stack: contextlib.ExitStack) -> tuple[SearchSystem, Measurer]:
        """The crews, as actors or in this process; they warm up while the model is imported."""
        hire = self._ray(stack) if self.request.engine == "ray" else self._serial(stack)
        measuring, search = self.request.measuring, self.search
        device = device_name(len(self.timing_cores))
        system = SearchSystem(
            cost_model=hire("cost model", partial(XGBoostCostModel, search.boosting)),
            explorers=hire("explorer", partial(EXPLORERS[search.explorer], search)),
            sampler=hire("sampler", partial(SAMPLERS[search.sampler], search.sampling)),
        )
        builders = hire("builder", partial(LocalBuilder, measuring, self.search_cores))
        runners = hire("runner", partial(LocalRunner, measuring, self.timing_cores, device))
        return system, Measurer(builders, runners)

    def _ray(self, stack: contextlib.ExitStack) -> Hire:
        from chameleon_ray.cluster import session
        from chameleon_ray.cluster.pool import ActorCrew

        stack.enter_context(session.start(self.request.address, len(self.search_cores)))
        counts = {"builder": len(self.search_cores), "explorer": max(len(self.search_cores) // 4, 1)}

        def hire(name: str, factory: Callable[[], Any]) -> Crew:
            crew = ActorCrew(name, factory, PHASES, self.began, counts.get(name, 1))
            stack.callback(crew.close)
            return crew

        return hire

    def _serial(self, stack: contextlib.ExitStack) -> Hire:
        def hire(name: str, factory: Callable[[], Any]) -> Crew:
            crew = LocalCrew(name, factory, PHASES, self.began)
            stack.callback(crew.close)
            return crew

        return hire

    def _resume(self, prepared: host.Prepared) -> list[Record]:
        """The records of earlier sessions, once the directory is known to be this model's."""
        identity = {
            "model": prepared.name,
            "model_digest": prepared.digest,
            "target": prepared.target,
            "device": device_name(len(self.timing_cores)),
            "layout": self.request.layout,
        }
        known = self.folder.identity()
        for key, value in identity.items() if known is not None else ():
            if known is not None and known.get(key) != value:
                raise FolderError(
                    f"{self.folder.path} is a run of another {key.replace('_', ' ')} "
                    f"({known.get(key)}, not {value}); choose another --out."
                )
        if known is None:
            options = {**asdict(self.request), "search": asdict(self.search)}
            versions = {package: version(package) for package in PACKAGES}
            self.folder.identify({**identity, "options": options, "versions": versions})
        return self.folder.database.read()

    def _tuners(
        self, prepared: host.Prepared, system: SearchSystem, records: list[Record]
    ) -> list[Tuner]:
        tuners = []
        for task in prepared.tasks:
            tuner = Tuner(task, system, self.search, self.request.seed)
            tuner.agent = self.folder.load_agent(task.digest)
            tuner.observe([record for record in records if record.task == task.digest])
            tuners.append(tuner)
        return tuners

    async def _search(
        self, tuners: list[Tuner], measurer: Measurer, records: list[Record]
    ) -> float | None:
        """Measures until the budget is spent; the share of that time the device was timing."""
        request, earlier = self.request, max((r.finished for r in records), default=0.0)
        clock = lambda: time.perf_counter() - self.began  # noqa: E731
        limit = self._wall_limit()
        deadline = None if limit is None else limit * (1 - request.confirming.reserve)
        trials = None if request.trials is None else max(request.trials - len(records), 0)
        budget = Budget(tuners, request.budgeting, trials, deadline, clock)
        tasks = [tuner.task for tuner in tuners]
        self.progress.began(tasks, deadline, request.trials, records)
        self.progress.phase("searching")
        for digest, layer in budget.layers.items():
            if layer.finished:
                self.progress.finished(digest, layer.finished)
        engine = Engine(
            budget=budget,
            measurer=measurer,
            device=device_name(len(self.timing_cores)),
            watcher=Recorder(self.folder, self.progress),
            clock=lambda: earlier + clock(),
            layers_in_flight=1 if request.engine == "serial" else 2 + len(self.search_cores),
            sequence=max((r.sequence + 1 for r in records), default=0),
        )
        with _interruptible():
            await engine.run()
        return self.progress.busy_fraction

    def _wall_limit(self) -> float | None:
        """Seconds that the whole command may take."""
        request = self.request
        if request.minutes is not None:
            return 60 * request.minutes
        return 60 * request.budgeting.minutes if request.trials is None else None

    async def _choose(self, prepared: host.Prepared, measurer: Measurer) -> dict[str, Winner]:
        """Each layer's winner; candidates found wrong are recorded as such."""
        by_task: dict[str, list[Record]] = {task.digest: [] for task in prepared.tasks}
        records = self.folder.database.read()
        for record in records:
            by_task[record.task].append(record)
        choosing = [
            choose(task, by_task[task.digest], measurer, self.request.confirming)
            for task in prepared.tasks
        ]
        winners = {winner.task: winner for winner in await asyncio.gather(*choosing)}
        sequence = len(records) and records[-1].sequence + 1
        for winner in winners.values():
            for record in (r for r in by_task[winner.task] if r.config in winner.wrong):
                error = "its output differs from the default schedule's"
                wrong = replace(
                    record, status=Status.WRONG_ANSWER, latencies=(), sequence=sequence, error=error
                )
                self.folder.database.append([wrong])
                sequence += 1
        return winners

    async def _accounts(self, system: SearchSystem, measurer: Measurer) -> list[Account]:
        crews = (*system.crews(), *measurer.crews())
        accounts = await asyncio.gather(*(crew.accounts() for crew in crews))
        return [account for crew in accounts for account in crew]

    def _result(
        self,
        prepared: host.Prepared,
        winners: dict[str, Winner],
        accounts: list[Account],
        busy: float | None,
    ) -> RunResult:
        """Everything but the whole model's latencies, verification and wall time."""
        for account in accounts:
            for phase, seconds in account.busy.items():
                self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        wall, own = time.perf_counter() - self.began, time.process_time()
        driver = Account("driver", {"drive": own}, wall - own)
        processes = [Process(a.name, a.busy, a.total) for a in (driver, *accounts)]
        outcomes = [
            Outcome(w.task, w.config, w.default_latency, w.latency, w.reason)
            for w in winners.values()
        ]
        return RunResult(
            model=prepared.name,
            target=prepared.target,
            device=device_name(len(self.timing_cores)),
            seed=self.request.seed,
            preset=self.request.preset,
            explorer=self.search.explorer,
            sampler=self.search.sampler,
            wall_seconds=0.0,
            seconds=self.seconds,
            device_busy_fraction=busy,
            tasks=prepared.tasks,
            records=tuple(self.folder.database.read()),
            outcomes=tuple(outcomes),
            processes=tuple(processes),
            inputs=tuple(
                (f"input {i}", array.shape, str(array.dtype))
                for i, array in enumerate(prepared.inputs)
            ),
            folder=self.folder.path,
            settings=asdict(self.request),
            versions={package: version(package) for package in PACKAGES},
        )

    def _finish(
        self,
        home: Isolate,
        prepared: host.Prepared,
        winners: dict[str, Winner],
        result: RunResult,
        stack: contextlib.ExitStack,
    ) -> RunResult:
        """Compiles the tuned and the untuned model, compares and times them."""
        self.progress.phase("compiling the model")
        began = time.perf_counter()
        chosen = {w.task: (w.config, w.latency) for w in winners.values() if w.config != DEFAULT}
        job = host.CompileTuned(chosen, self.folder.library, self.folder.tvm_database)
        applied = _value(home, job)
        _value(home, host.CompileUntuned(self.folder.untuned_library))
        self.seconds["apply"] = time.perf_counter() - began
        self.progress.phase("verifying the model")
        verified, latencies = self._verify(prepared, stack)
        lost = set(chosen) - applied
        self.seconds["verify"] = self.seconds.get("contest", 0.0) + time.perf_counter() - began
        return replace(
            result,
            wall_seconds=time.perf_counter() - self.began,
            seconds=self.seconds,
            untuned=Latency.of(latencies[1]),
            tuned=Latency.of(latencies[0]),
            verified=verified,
            explanation=f"{len(lost)} winners could not be applied." if lost else "",
        )

    def _verify(
        self, prepared: host.Prepared, stack: contextlib.ExitStack
    ) -> tuple[Verified, list[tuple[float, ...]]]:
        child = self._isolate("chameleon_ray.compiler.bench:bench", stack, timing=True)
        tuned, untuned = str(self.folder.library), str(self.folder.untuned_library)
        reference = prepared.reference
        if reference is None:
            reference = _value(child, bench.Outputs(untuned, prepared.inputs))
        verdict = _value(child, bench.Check(tuned, prepared.inputs, reference))
        duel = bench.Duel((tuned, untuned), prepared.inputs, self.request.confirming)
        latencies = _value(child, duel)
        return Verified(verdict.ok, verdict.max_abs_err, verdict.max_rel_err), latencies

    def _isolate(
        self, handler: str, stack: contextlib.ExitStack, timing: bool = False
    ) -> Isolate:
        """A child of this process; one that times has the timing cores to itself."""
        count = str(len(self.timing_cores))
        threads = (("TVM_NUM_THREADS", count), ("OMP_NUM_THREADS", count))
        cores = self.timing_cores
        setting = Setting(handler, cores=cores, environment=threads if timing else SINGLE_THREADED)
        child = Isolate(setting)
        stack.callback(child.close)
        return child


def tune(request: Request, progress: Progress) -> RunResult:
    """Tunes a model and leaves everything in the run directory.

    Args:
        request: What the user asked for.
        progress: Told what happens; its clock began with the command.

    Raises:
        UserError: The request cannot be met.
        Stopped: The user interrupted it.
    """
    began = time.perf_counter() - progress.elapsed
    cores = available()
    try:
        search = search_of(request)
        find_linker()
        search_cores, timing_cores = split(cores, request.threads)
        folder = RunFolder(_path(request))
    except (LinkError, ValueError, FolderError) as error:
        raise UserError(str(error)) from error
    try:
        _check_new(folder, request)
        os.sched_setaffinity(0, search_cores)  # before any child: the timing cores stay free
        tuning = Tuning(request, folder, progress, began, search, search_cores, timing_cores)
        result = asyncio.run(tuning.run())
        write(folder.summary, result)
        write_text(folder.report, render(result))
        return result
    except (Stopped, KeyboardInterrupt, asyncio.CancelledError) as stop:
        raise Stopped(_go_on(folder, request)) from stop
    except (FolderError, DatabaseError, SessionError, CrewError, IsolateError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"Writing to {folder.path} failed: {reason}. {_go_on(folder, request)}") from error
    finally:
        os.sched_setaffinity(0, cores)
        folder.close()


def _path(request: Request) -> Path:
    """The run directory asked for, or a new one under ``runs/``."""
    if request.out is not None:
        return Path(request.out)
    if request.resume:
        raise UserError("--resume needs --out RUN, the directory of the run to go on with.")
    name = Path(request.model).stem if request.model.endswith((".onnx", ".pt2")) else request.model
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{name}-{stamp}"


def _check_new(folder: RunFolder, request: Request) -> None:
    known = folder.identity() is not None
    if known and not request.resume:
        raise FolderError(f"{folder.path} holds a run; add --resume, or choose another --out.")
    if request.resume and not known:
        raise FolderError(f"{folder.path} holds no run to resume; leave out --resume.")


def _go_on(folder: RunFolder, request: Request) -> str:
    count = len(folder.database.read())
    return (
        f"{count} measurements are kept in {folder.path}; go on with: "
        f"chameleon tune {request.model} --out {folder.path} --resume"
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the block cleanly, as ``Stopped``."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        yield
    except asyncio.CancelledError as error:
        raise Stopped from error
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _value(child: Isolate, job: Any) -> Any:
    """What a job in a child comes to; its failure as a sentence for the user."""
    outcome = child.call(job)
    if outcome.ending is Ending.OK:
        return outcome.value
    kind, _, sentence = outcome.error.partition(": ")
    raise UserError(sentence if kind in SENTENCES else f"{type(job).__name__}: {outcome.error}")
