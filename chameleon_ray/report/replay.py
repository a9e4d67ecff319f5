"""Reports replays of a table: figures for programs (JSON) and for people, from one run per seed."""

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from rich.table import Table

from chameleon_ray.options import Search
from chameleon_ray.record import Record, Status
from chameleon_ray.report.format import UNKNOWN, clock, counted, digits, milliseconds, percent

MARKS = (25, 50, 100, 200)
"""Numbers of measurements after which the best so far is compared with the optimum."""
GOALS = (0.90, 0.95, 0.99)
"""Shares of the optimum's speed; the report tells when a search first reaches each."""


@dataclass(frozen=True)
class SeedRun:
    """One search of a table.

    Attributes:
        seed: Seed of the search.
        records: Measurements of the search, in order.
        search_seconds: CPU seconds of this process spent searching, not answering.
        queries: Configurations scored, plan by plan; the first plans, random ones, are left out.
    """

    seed: int
    records: tuple[Record, ...]
    search_seconds: float
    queries: tuple[int, ...] = ()

    @property
    def curve(self) -> np.ndarray:
        """The ``(measurements,)`` best latency so far in seconds; infinite before a success."""
        latencies = np.array([record.latency for record in self.records])
        return np.minimum.accumulate(latencies) if len(latencies) else latencies

    @property
    def recorded_seconds(self) -> float:
        """Seconds that the measurements took when the table was recorded."""
        return sum(record.build_seconds + record.run_seconds for record in self.records)


@dataclass(frozen=True)
class ReplayResult:
    """Searches of one table by one system.

    Attributes:
        table: The table's name.
        size: Number of configurations in it.
        optimum: The least latency in it, in seconds.
        search: The search system.
        measurements: Most measurements of a run; a smaller table ends it earlier.
        runs: One per seed.
    """

    table: str
    size: int
    optimum: float
    search: Search
    measurements: int
    runs: tuple[SeedRun, ...]

    @property
    def exhausted(self) -> bool:
        """Whether there were fewer configurations than measurements asked for."""
        return any(len(run.records) < self.measurements for run in self.runs)

    def fractions(self, mark: int) -> np.ndarray | None:
        """Returns the ``(seeds,)`` optimum over the best of the first ``mark`` measurements.

        It is 0 where none has succeeded. The result is None where a run is shorter.
        """
        if any(len(run.records) < mark for run in self.runs):
            return None
        return np.array([self.optimum / run.curve[mark - 1] for run in self.runs])

    def first(self, run: SeedRun, goal: float) -> float:
        """Counts measurements until the best has ``goal`` of the optimum's speed; else infinite."""
        there = np.flatnonzero(self.optimum / run.curve >= goal)
        return float(there[0] + 1) if len(there) else inf


def figures(
    result: ReplayResult,
    preset: str,
    marks: tuple[int, ...] = MARKS,
    goals: tuple[float, ...] = GOALS,
) -> dict:
    """Returns the figures as strict JSON data; docs/reference/replay.md describes them."""
    runs = result.runs
    measured = sum(len(run.records) for run in runs)
    failed = sum(r.status is not Status.OK for run in runs for r in run.records)
    shares = {str(mark): result.fractions(mark) for mark in marks}
    firsts = {f"{goal:.2f}": np.array([result.first(run, goal) for run in runs]) for goal in goals}
    return {
        "table": result.table,
        "preset": preset,
        "explorer": result.search.explorer,
        "sampler": result.search.sampler,
        "seeds": [run.seed for run in runs],
        "measurements": result.measurements,
        "optimum": result.optimum,
        "fraction_of_optimum": {
            m: None if f is None else float(f.mean()) for m, f in shares.items()
        },
        "spread": {m: None if f is None else float(f.std()) for m, f in shares.items()},
        "measurements_to": {
            goal: float(np.minimum(first, result.measurements).mean())
            for goal, first in firsts.items()
        },
        "reached": {goal: int(np.isfinite(first).sum()) for goal, first in firsts.items()},
        "failed_share": failed / measured,
        "search_seconds_per_measurement": sum(run.search_seconds for run in runs) / measured,
        "recorded_seconds": float(np.mean([run.recorded_seconds for run in runs])),
        "curves": [[s if isfinite(s) else None for s in run.curve.tolist()] for run in runs],
    }


def line(result: ReplayResult, run: SeedRun) -> str:
    """Describes one run in words."""
    best = run.curve[-1]
    return (
        f"seed {run.seed}: {milliseconds(best)} ms, {percent(result.optimum / best)} of the "
        f"optimum's speed, after {counted(len(run.records), 'measurement')}"
    )


def shown(result: ReplayResult, preset: str) -> list[Table | str]:
    """Returns the sentences and the table that the command prints."""
    body = figures(result, preset)
    ended = [
        f"The table was exhausted: it has {counted(result.size, 'configuration')}, fewer than "
        f"{counted(result.measurements, 'measurement')}."
    ]
    return [
        f"{result.table}: {counted(result.size, 'configuration')}, the fastest takes "
        f"{milliseconds(result.optimum)} ms; {preset} ({result.search.explorer}, "
        f"{result.search.sampler})",
        _table(result, body),
        f"{percent(body['failed_share'])} failed; search took "
        f"{digits(1e3 * body['search_seconds_per_measurement'])} ms of CPU time per measurement; "
        f"the measurements of a run took {clock(body['recorded_seconds'])} when recorded.",
        *(ended if result.exhausted else []),
    ]


def _table(result: ReplayResult, body: dict) -> Table:
    """Makes a table of speeds over the optimum's, and of measurements to get there.

    It has a row per seed, then the mean and the spread.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    marks = [mark for mark in MARKS if mark <= result.measurements]
    for title in [f"after {m}" for m in marks] + [f"to {g:.0%}" for g in GOALS]:
        table.add_column(title, justify="right")
    fractions = [result.fractions(mark) for mark in marks]
    for number, run in enumerate(result.runs):
        cells = [percent(None if f is None else f[number]) for f in fractions]
        firsts = [result.first(run, goal) for goal in GOALS]
        cells += [f"{first:.0f}" if isfinite(first) else UNKNOWN for first in firsts]
        table.add_row(f"seed {run.seed}", *cells)
    means = [percent(body["fraction_of_optimum"][str(mark)]) for mark in marks]
    means += [digits(mean) for mean in body["measurements_to"].values()]
    table.add_row("mean", *means, style="bold")
    table.add_row("spread", *(percent(body["spread"][str(mark)]) for mark in marks), style="dim")
    return table
