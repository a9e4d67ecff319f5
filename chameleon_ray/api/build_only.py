"""Builds configurations of every layer without timing them.

To the search, all that compiles is equally good. So the cost model learns only what compiles, and
the sampler picks configurations that are unlike each other among those.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from chameleon_ray.api.algorithms import search_of
from chameleon_ray.api.bounds import demand_bounds
from chameleon_ray.api.concurrency import guarded, in_thread, starting
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.pools import layers_in_flight, start_pools, workers_lost
from chameleon_ray.budget import Budget
from chameleon_ray.cluster.ray_session import check_pins
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.engine import Engine
from chameleon_ray.errors import UserError
from chameleon_ray.layer_names import title
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.measure.scratch import Scratch
from chameleon_ray.options import Request, Search
from chameleon_ray.record import Record
from chameleon_ray.report.builds import Building, figures, valid
from chameleon_ray.report.format import counted, percent
from chameleon_ray.report.strict_json import strict
from chameleon_ray.report.summary import write_text
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.tuner import Tuner

FILE = "build.json"
"""Name of the file with the figures, in the run directory."""
Say = Callable[[str], None]


def build(request: Request, say: Say) -> Building:
    """Compiles configurations of every layer until the trials or the minutes are spent.

    Args:
        request: Request of the user. A target for a GPU has to name the architecture.
        say: Receives sentences about the model and about every plan.

    Raises:
        UserError: The request cannot be met, nothing could be compiled, or Ray was lost.
    """
    _demand_sense(request)
    demand_bounds(request)
    began, cores = time.perf_counter(), available()
    request = replace(request, build_only=True)
    # A regression of success (1) and failure (0), which learns nothing from other tasks.
    learning = request.cost_model or "boosting"
    search = replace(search_of(request), cost_model=learning, transfer=None)
    check_pins()
    if request.out is not None:
        _demand_writable(Path(request.out))
    done = asyncio.run(_build(request, search, cores, began, say))
    if request.out is not None:
        text = json.dumps(strict(figures(done)), indent=2, allow_nan=False)
        with _told(Path(request.out)):
            Path(request.out).mkdir(parents=True, exist_ok=True)
            write_text(Path(request.out, FILE), f"{text}\n")
    if not done.compiled and any(task.space.knobs for task in done.tasks):
        raise UserError(_why_none(done))
    if words := missed(done):
        say(words)
    return done


def missed(done: Building) -> str:
    """Names the layers that have configurations, but not one that was tried; empty where all do."""
    tried = {record.task for record in done.records}
    left = [task for task in done.tasks if task.space.knobs and task.digest not in tried]
    if not left:
        return ""
    names = ", ".join(title(task) for task in left)
    return f"Of {counted(len(left), 'layer')} nothing was compiled ({names}); give more --trials."


def _why_none(done: Building) -> str:
    """Says why not one kernel was compiled."""
    if not done.records:
        return "No kernel was compiled in the time given; give more --minutes or --trials."
    error, count = Counter(record.error for record in done.records).most_common(1)[0]
    return f"None of {len(done.records)} kernels could be compiled; {count} times: {error}."


def _demand_sense(request: Request) -> None:
    """Raises a ``UserError`` where an option needs timings, or chooses layers."""
    given = {
        "--instances": request.instances > 1,
        "--resume": request.resume,
        "--locked": request.locked is not None,
        "--refresh": request.refresh,
        "--only": bool(request.only),
        "--until": request.until is not None,
        "--warm-start": bool(request.warm_start),
    }
    for name, there in given.items():
        if there:
            raise UserError(
                f"--build-only compiles all layers, times none; leave out {name} or --build-only."
            )


async def _build(
    request: Request, search: Search, cores: tuple[int, ...], began: float, say: Say
) -> Building:
    kind, lost = kind_of(request.target), partial(workers_lost, request)
    with ExitStack() as stack:
        process = ModelProcess(kind, cores, stack)
        async with guarded(lost):
            preparing = in_thread(process.prepare, request)
            wanted = {request.target: ()}
            about = (request, kind, search, cores, (), wanted, began, stack, say)
            with starting(lost):
                system, measurers = start_pools(*about)
            (measurer,) = measurers.values()
            pools = (*system.pools(), *measurer.pools())
            ready = [asyncio.create_task(pool.ready()) for pool in pools]
            prepared = await preparing
            for note in prepared.notes:
                say(note)
            # What cannot be compiled ends here.
            with Scratch() as folder:
                await in_thread(process.compile_untuned, folder / "untuned.so")
            tally = Tally(prepared, say)
            await _explore(request, search, prepared, system, measurer, tally, began, len(cores))
            await asyncio.gather(*ready)
            return Building(
                model=prepared.name,
                target=prepared.target,
                explorer=search.explorer,
                builders=len(await measurer.builders.accounts()),
                wall_seconds=time.perf_counter() - began,
                tasks=prepared.tasks,
                records=tuple(tally.records),
            )


async def _explore(
    request: Request,
    search: Search,
    prepared: Prepared,
    system: SearchSystem,
    measurer: Measurer,
    tally: "Tally",
    began: float,
    cores: int,
) -> None:
    tuners = [Tuner(task, system, search, request.seed) for task in prepared.tasks]
    minutes = request.minutes
    if minutes is None and request.trials is None:
        minutes = request.budgeting.minutes
    deadline = None if minutes is None else 60 * minutes
    clock = lambda: time.perf_counter() - began  # noqa: E731
    budget = Budget(tuners, request.budgeting, request.trials, deadline, clock)
    layers = layers_in_flight(request, cores)
    await Engine(budget, measurer, "none", tally, clock, layers).run()


class Tally:
    """A watcher that keeps the records, and says what share of every plan compiled."""

    def __init__(self, prepared: Prepared, say: Say) -> None:
        self.records: list[Record] = []
        self._names = {task.digest: title(task) for task in prepared.tasks}
        self._say = say

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.records.append(record)

    def finished(self, task: str, reason: str) -> None:
        self._say(f"{self._names[task]}: {reason}")

    def planned(self, tuner: Tuner) -> None:
        if not tuner.records:  # the trials were spent before its first one
            return
        plan = max(record.plan for record in tuner.records)
        mine = [record for record in tuner.records if record.plan == plan]
        share = percent(valid(mine))
        self._say(f"{self._names[tuner.task.digest]}: plan {plan}, {share} of {len(mine)} compiled")


def _demand_writable(folder: Path) -> None:
    """Raises a ``UserError`` where a directory cannot be written, or made; makes nothing."""
    with _told(folder):
        there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
        TemporaryFile(dir=there).close()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Raises a ``UserError`` where a block cannot write to a directory."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write to {folder}: {error.strerror}; choose another --out."
        ) from error
