"""A long run on recorded devices that take no time: the memory it takes, and its records read back.

    python scripts/soak.py [--measurements 100000] [--out DIR]

Builder, runner and search are in this process, the records go to disk as in any run. Every tenth of
the way the line says how many records there are, the process's memory, and what a measurement took.
"""

import argparse
import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from chaos import TABLES
from chaos_driver import QUICK, Keeper, tables
from recorded_layers import RecordedBuilder, RecordedRunner, layers

from chameleon_ray.api.algorithms import cost_model_factory, explorer_factory, sampler_factory
from chameleon_ray.budget import Budget
from chameleon_ray.database import Database
from chameleon_ray.engine import Engine
from chameleon_ray.folder import SAME, RunFolder
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Budgeting
from chameleon_ray.pool import InProcessPool
from chameleon_ray.record import Record
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.tuner import Tuner


class Reporter(Keeper):
    """Keeps records, and says now and then what the process has grown to."""

    def __init__(self, folder: RunFolder, every: int) -> None:
        super().__init__(folder)
        self._every, self._count, self._last = every, 0, time.process_time()

    def measured(self, record: Record, timing_seconds: float) -> None:
        """Keeps it."""
        super().measured(record, timing_seconds)
        self._count += 1
        if self._count % self._every == 0:
            now = time.process_time()
            mb = psutil.Process().memory_info().rss / 1e6
            ms = 1e3 * (now - self._last) / self._every
            print(f"{self._count} records, {mb:.0f} MB, {ms:.1f} CPU ms each", flush=True)
            self._last = now


async def run(measurements: int, out: Path) -> None:
    """All of it."""
    recorded = tables(TABLES, 0.0)
    per_copy = sum(len(table) for table in recorded)
    tasks, by_digest = layers(recorded, -(-measurements // per_copy))

    def start_pool(name: str, factory: Any) -> InProcessPool:
        return InProcessPool(name, factory, {}, time.perf_counter())

    system = SearchSystem(
        cost_model=start_pool("cost model", cost_model_factory(QUICK)),
        explorers=start_pool("explorer", explorer_factory(QUICK)),
        sampler=start_pool("sampler", sampler_factory(QUICK)),
    )
    builders = start_pool("builder", partial(RecordedBuilder, by_digest, 0.0))
    runners = start_pool("runner", partial(RecordedRunner, by_digest, 0.0))
    folder = RunFolder(out, existing=False)
    folder.resume(dict.fromkeys(SAME, "soak"))
    clock = time.perf_counter
    engine = Engine(
        budget=Budget(
            [Tuner(task, system, QUICK, 0) for task in tasks],
            Budgeting(patience=1 << 30),
            measurements,
            None,
            clock,
        ),
        measurer=Measurer(builders, runners),
        device="recorded",
        watcher=Reporter(folder, max(measurements // 10, 1)),
        clock=clock,
        layers_in_flight=4,
    )
    await engine.run()
    folder.close()


def main() -> None:
    """Runs, then reads the records back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measurements", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="keeps the run there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or Path(temporary) / "run"
        asyncio.run(run(args.measurements, out))
        began, cpu = time.perf_counter(), time.process_time()
        count = len(Database(out / "records").read())
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{count} records read back in {wall:.2f} s ({cpu:.2f} CPU s)")


if __name__ == "__main__":
    main()
