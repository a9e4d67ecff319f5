"""Replays: searches of a recorded table, which answers instead of compiler and device.

The search is the real one, from cost model to engine. It needs neither Ray nor TVM, but for PPO on
a table too large to be scored whole, which needs Ray.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Concatenate

import numpy as np

from chameleon_ray.api.algorithms import cost_model_factory, explorer_factory, sampler_factory
from chameleon_ray.api.concurrency import starting
from chameleon_ray.api.warm_start import UNTAUGHT
from chameleon_ray.budget import Budget
from chameleon_ray.database import Database
from chameleon_ray.engine import Engine
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Budgeting, Search
from chameleon_ray.pool import InProcessPool, P, T
from chameleon_ray.record import Record, Status
from chameleon_ray.replay.recorded_devices import ReplayBuilder, ReplayRunner
from chameleon_ray.replay.table import Table
from chameleon_ray.report.replay import ReplayResult, SeedRun, figures
from chameleon_ray.report.summary import write_text
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import DesignSpace
from chameleon_ray.task import Task
from chameleon_ray.transfer import Transfer, instructive
from chameleon_ray.tuner import Tuner

__all__ = [
    "ReplayResult",
    "SeedRun",
    "destinations",
    "record_of",
    "replay",
    "walks",
    "write",
]

TARGET = json.dumps({"kind": "replay"})
Told = Callable[[ReplayResult, SeedRun], None]


def replay(
    table: Table,
    search: Search,
    measurements: int,
    seeds: Sequence[int],
    told: Told = lambda result, run: None,
    teachers: Sequence[Table] = (),
) -> ReplayResult:
    """Searches a table once per seed; the same seed gives the same measurements.

    Args:
        table: Table that answers instead of compiler and device.
        search: The search system.
        measurements: Number of measurements of each search; fewer where the table has no more.
        seeds: Seeds of the searches, which run one after the other.
        told: Called after every search with the result so far and the run that is done.
        teachers: Tables of earlier measurements that every search learns from.

    Raises:
        UserError: There is no measurement or seed, the search failed, or it learns nothing from
            others.
        SessionError: PPO needs Ray, and Ray does not start.
    """
    if measurements < 1 or not seeds:
        raise UserError("A replay needs one measurement and one seed at least.")
    result = ReplayResult(table.name, len(table), table.optimum, search, measurements, ())
    with _session(table, search):
        for seed in seeds:
            run = asyncio.run(_search(table, search, measurements, seed, teachers))
            result = replace(result, runs=(*result.runs, run))
            told(result, run)
    return result


def walks(search: Search, space: DesignSpace) -> bool:
    """Tells whether PPO explores this space, which is slow and needs Ray."""
    return search.explorer == "ppo" and space.size > search.exhaustive


@contextmanager
def _session(table: Table, search: Search) -> Iterator[None]:
    """Starts Ray for the block, where PPO explores the space; ``RayLost`` ends it without Ray."""
    if not walks(search, table.space):
        yield
        return
    from chameleon_ray.cluster import ray_session, servers  # Ray: only where it is needed

    with starting(servers.lost), ray_session.start(None, len(available())):
        yield


async def _search(
    table: Table, search: Search, measurements: int, seed: int, teachers: Sequence[Table]
) -> SeedRun:
    """Searches with one seed, with fresh workers in this process."""
    model, explorer, sampler = pools = [
        ClockedPool(factory(search))
        for factory in (cost_model_factory, explorer_factory, sampler_factory)
    ]
    builder, runner = (
        InProcessPool("table", partial(made, table), {}, time.perf_counter())
        for made in (ReplayBuilder, ReplayRunner)
    )
    task = Task(table.name, table.space.digest, TARGET, 1, 0.0, table.space, has_default=False)
    transfer = taught(task, search, teachers, seed) if teachers else None
    tuner = Tuner(task, SearchSystem(model, explorer, sampler), search, seed, transfer)
    patient = Budgeting(patience=measurements + 1)
    clock, notes = time.perf_counter, ReplayNotes()
    budget = Budget([tuner], patient, measurements, None, clock)
    began = clock()
    engine = Engine(
        budget=budget,
        measurer=Measurer(builder, runner),
        device=table.device,
        watcher=notes,
        clock=lambda: clock() - began,
        layers_in_flight=1,
    )
    await engine.run()
    if len(notes.records) < min(measurements, len(table)):
        raise UserError(f"The search of {table.name} with seed {seed} ended early: {notes.reason}.")
    seconds = sum(pool.cpu_seconds for pool in pools)
    return SeedRun(seed, tuple(notes.records), seconds, tuple(explorer.queries))


def taught(task: Task, search: Search, teachers: Sequence[Table], seed: int) -> Transfer:
    """Returns what a task learns from other tables first: their most informative measurements.

    Raises:
        UserError: The search system learns nothing from others.
    """
    if search.transfer is None:
        raise UserError(UNTAUGHT)
    rng, most = np.random.default_rng(seed), search.transfer.rows
    transfer = Transfer(search.transfer)
    for teacher in teachers:
        records = [record_of(teacher, row) for row in range(len(teacher))]
        transfer.learn(task.kind, instructive(records, most, rng))
    return transfer


def record_of(table: Table, row: int) -> Record:
    """Converts a row of a table to the record of an earlier run."""
    config = table.configs[row]
    status = table.status[row]
    return Record(
        task=f"{table.name} (earlier)",
        target=TARGET,
        device=table.device,
        config=config,
        values=json.dumps(table.space.values(config)),
        status=status,
        latencies=(float(table.latency[row]),) if status is Status.OK else (),
    )


class ClockedPool(InProcessPool):
    """A worker in this process that adds up the CPU seconds of its calls.

    It also takes note of how many configurations each of its trails scored.
    """

    def __init__(self, factory: Callable[[], Any]) -> None:
        super().__init__("search", factory, {}, time.perf_counter())
        self.cpu_seconds = 0.0
        self.queries: list[int] = []

    async def call(
        self, method: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        began = time.process_time()
        try:
            answer = await super().call(method, *args, **kwargs)
        finally:
            self.cpu_seconds += time.process_time() - began
        if isinstance(answer, Trail):
            self.queries.append(answer.queries)
        return answer


@dataclass
class ReplayNotes:
    """A watcher that remembers records and why the search ended."""

    records: list[Record] = field(default_factory=list)
    reason: str = ""

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.records.append(record)

    def planned(self, tuner: Tuner) -> None: ...

    def finished(self, task: str, reason: str) -> None:
        self.reason = reason


def destinations(out: Path | None, file: Path | None, seeds: Sequence[int]) -> None:
    """Finds out before the search whether its results can be written.

    Raises:
        UserError: The results cannot be written, or there are records already.
    """
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise UserError(
            f"{file} cannot be written: that is a directory, or there is none to write it into."
        )
    if out is None:
        return
    for folder in (_records(out, seed) for seed in seeds):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {out}: cannot write there: {error.strerror}.") from error
        if any(folder.glob("*.parquet")):
            raise UserError(f"{folder} holds records already; choose another --out.")


def write(result: ReplayResult, preset: str, out: Path | None, file: Path | None) -> None:
    """Keeps the records of every seed under ``out`` and the figures in ``file``.

    Raises:
        UserError: The disk is full, or the files cannot be written there.
    """
    try:
        if out is not None:
            for run in result.runs:
                Database(_records(out, run.seed)).append(run.records)
        if file is not None:
            text = json.dumps(figures(result, preset), indent=2, allow_nan=False)
            write_text(file, text + "\n")
    except OSError as error:
        raise UserError(f"Writing the results failed: {error.strerror or error}.") from error


def _records(out: Path, seed: int) -> Path:
    return out / f"seed-{seed}" / "records"
