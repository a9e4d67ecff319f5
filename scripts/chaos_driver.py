"""The run that ``chaos.py`` disturbs: actors search recorded layers whole, and records are kept.

Builders and runners are on the cluster's nodes, cost model, explorers and sampler beside this
process. Every configuration of every layer is measured, so what was found does not depend on order.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from recorded_layers import (
    RecordedBuilder,
    RecordedRunner,
    Tables,
    layers,
    paced,
)

from chameleon_ray.api.algorithms import cost_model_factory, explorer_factory, sampler_factory
from chameleon_ray.budget import Budget
from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.placement import Node, near_driver
from chameleon_ray.engine import Engine
from chameleon_ray.folder import SAME, RunFolder
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.calibration import References
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Boosting, Budgeting, Calibrating, Sampling, Search
from chameleon_ray.record import Record
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner

QUICK = Search(
    explorer="random",
    sampler="greedy",
    cost_model="boosting",
    first_plan=48,
    plan=48,
    small_plan=48,
    boosting=Boosting(rounds=20, depth=4),
    sampling=Sampling(candidates=96),
    transfer=None,
)
"""A search that costs next to nothing."""
DATA = Path(__file__).parents[1] / "tests" / "data"


@dataclass
class Keeper:
    """A watcher that keeps what it is told."""

    folder: RunFolder

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None:
        self.folder.database.append([record])

    def planned(self, tuner: Tuner) -> None:
        self.folder.agents.save("random", tuner.task.digest, tuner.agent)

    def finished(self, task: str, reason: str) -> None: ...


def tables(names: Sequence[str], run_seconds: float) -> list[Table]:
    """The recorded spaces, with a device that takes as long for everything."""
    read = [read_table(DATA / f"{name}.parquet") for name in names]
    return [paced(table, 0.02, run_seconds) for table in read]


def runner(by_digest: Tables) -> Calibrated:
    """A recorded device of its own, which is compared with the others and is just like them."""
    return Calibrated(RecordedRunner(by_digest, 1.0), str(os.getpid()))


def introduced(name: str, folder: Path, factory: Callable[[], Any]) -> Any:
    """Makes an actor's part, and leaves its name in a file that is called as its process is."""
    made = factory()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).write_text(name)
    return made


def pools(args: argparse.Namespace, by_digest: Tables) -> tuple[SearchSystem, Measurer]:
    """Runners and builders on every node but this one."""

    def start_pool(name: str, factory: Callable[[], Any], count: int = 0) -> ActorPool:
        def spread(node: Node) -> int:
            return node.cpus and count

        return ActorPool(
            name,
            partial(introduced, name, args.out.with_suffix(".actors"), factory),
            {},
            time.perf_counter(),
            resources={} if count else near_driver(),
            spread=spread if count else None,
            tell=lambda said: print(time.strftime("%X"), said, flush=True),
        )

    system = SearchSystem(
        cost_model=start_pool("cost model", cost_model_factory(QUICK)),
        explorers=start_pool("explorer", explorer_factory(QUICK)),
        sampler=start_pool("sampler", sampler_factory(QUICK)),
    )
    builders = start_pool("builder", partial(RecordedBuilder, by_digest, 1.0), args.builders)
    runners = start_pool("runner", partial(runner, by_digest), args.runners)
    return system, Measurer(builders, runners, References(Calibrating()))


async def search(args: argparse.Namespace, tasks: list[Task], by_digest: Tables) -> None:
    """Measures everything that the run directory does not hold yet."""
    folder = RunFolder(args.out, (args.out / "run.json").exists())
    records = folder.resume({**dict.fromkeys(SAME, "chaos"), "spaces": {}})
    system, measurer = pools(args, by_digest)
    tuners = [Tuner(task, system, QUICK, args.seed) for task in tasks]
    for tuner in tuners:
        tuner.inherit(folder.agents.load("random", tuner.task.digest))
        tuner.observe([record for record in records if record.task == tuner.task.digest])
    earlier, began = max((r.finished for r in records), default=0.0), time.perf_counter()
    budget = Budget(tuners, Budgeting(patience=1 << 30), None, None, time.perf_counter)
    engine = Engine(
        budget=budget,
        measurer=measurer,
        device="recorded",
        watcher=Keeper(folder),
        clock=lambda: earlier + time.perf_counter() - began,
        layers_in_flight=args.layers_in_flight,
        sequence=count(max((record.sequence + 1 for record in records), default=0)),
    )
    try:
        await engine.run()
    finally:
        folder.close()
        for pool in (*system.pools(), *measurer.pools()):
            pool.close()


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of one driver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", required=True)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--run-seconds", type=float, default=0.1)
    parser.add_argument("--runners", type=int, default=2)
    parser.add_argument("--builders", type=int, default=1)
    parser.add_argument("--layers-in-flight", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main() -> None:
    """Runs to the end."""
    args = parsed()
    tasks, by_digest = layers(tables(args.tables, args.run_seconds), args.copies)
    with ray_session.start(args.address):
        asyncio.run(search(args, tasks, by_digest))


if __name__ == "__main__":
    main()
