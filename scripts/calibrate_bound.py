"""Judges the bound on what is left to gain, on recorded tables whose optimum is known.

    python scripts/calibrate_bound.py TABLE... [--seeds 20] [--measurements 160] [--caution 1 ...]

A table whose space is too large for a stated bound has slices that are not, in which knobs are
fixed: ``convolution_milo_A100.json.gz:use_shmem=1,use_padding=0``.

Every table is searched once per seed, as ``chameleon replay`` does. After each plan the bound is
compared with the regret: by how much the best latency exceeds the table's least. What is printed
says how often the bounds hold, and compares a search that ends after plans without an improvement
with one that ends where the bound is small, too. Searches are kept under ``--out``.
"""

import argparse
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chameleon_ray.api.replay import replay
from chameleon_ray.options import Bounding, Budgeting
from chameleon_ray.presets import PRESETS
from chameleon_ray.record import Record
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.search.posterior import rivals


@dataclass(frozen=True)
class Plan:
    """The state of a search after one plan.

    Attributes:
        measured: Number of measurements so far.
        regret: By how much the best latency exceeds the table's least, over the latter.
        bounds: The bound for each caution.
        stale: Number of plans since the last improvement that counted.
        seconds: Seconds that one bound took.
    """

    measured: int
    regret: float
    bounds: tuple[float, ...]
    stale: int
    seconds: float


def main() -> None:
    """Searches, judges and prints."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tables = [sliced(text) for text in arguments.tables]
    found: dict[str, list[list[Plan]]] = {table.name: [] for table in tables}
    for seed in range(arguments.seeds):
        for table in tables:
            records = searched(table, seed, arguments.measurements, arguments.out)
            found[table.name].append(judged(table, records, arguments.caution))
    for number, caution in enumerate(arguments.caution):
        print(f"\nCaution {caution:g}\n")
        print(report(found, number, arguments.until))
    plans = [plan for runs in found.values() for run in runs for plan in run]
    print(f"\nOne bound took {1e3 * np.median([plan.seconds for plan in plans]):.1f} ms.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="FILE or FILE:KNOB=VALUE,...")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--measurements", type=int, default=160, help="of a search; 160")
    parser.add_argument("--caution", type=float, nargs="+", default=[Bounding().caution])
    parser.add_argument("--until", type=float, default=0.02, help="bound that ends a search; 0.02")
    parser.add_argument("--out", type=Path, default=Path("runs/calibrate_bound"))
    return parser.parse_args()


def sliced(text: str) -> Table:
    """Reads a table, and leaves of it the configurations in which knobs have the given values."""
    path, _, fixed = text.partition(":")
    table = read_table(Path(path))
    if not fixed:
        return table
    wanted = [tuple(part.split("=")) for part in fixed.split(",")]
    values = [table.space.values(config) for config in table.configs]
    kept = [n for n, one in enumerate(values) if all(str(one[k]) == v for k, v in wanted)]
    return replace(
        table,
        name=f"{table.name} {fixed}",
        space=replace(table.space, members=table.space.enumerate()[kept]),
        latency=table.latency[kept],
        build_seconds=table.build_seconds[kept],
        run_seconds=table.run_seconds[kept],
        status=tuple(table.status[n] for n in kept),
        error=tuple(table.error[n] for n in kept),
    )


def searched(table: Table, seed: int, measurements: int, out: Path) -> Sequence[Record]:
    """Returns the records of one search, made earlier or now."""
    path = out / f"{table.name}.{table.space.digest}.{measurements}.{seed}.pickle"
    if not path.exists():
        result = replay(table, PRESETS["chameleon"], measurements, (seed,))
        path.write_bytes(pickle.dumps(result.runs[0].records))
    return pickle.loads(path.read_bytes())


def judged(table: Table, records: Sequence[Record], cautions: Sequence[float]) -> list[Plan]:
    """Follows a search plan by plan, from the first that has a bound."""
    options, plans = Budgeting(), list[Plan]()
    mark, gained, optimum = float("inf"), 0, float(table.latency.min())
    for number in range(records[-1].plan + 1):
        for record in records:
            improved = record.latency < mark * (1 - options.improvement)
            if record.plan == number and improved:
                mark, gained = record.latency, number
        known = [record for record in records if record.plan <= number]
        began = time.perf_counter()
        left = rivals(table.space, known, Bounding(caution=1.0))
        if left is None:
            continue
        wider = [replace(left, deviations=left.deviations * caution) for caution in cautions]
        bounds = tuple(one.within(Bounding().confidence) for one in wider)
        seconds = (time.perf_counter() - began) / len(cautions)
        best = min(record.latency for record in known)
        plans.append(Plan(len(known), best / optimum - 1, bounds, number - gained, seconds))
    return plans


def report(found: dict[str, list[list[Plan]]], number: int, until: float) -> str:
    """Renders both comparisons for one caution as Markdown."""
    lines = [
        "| table | bounds that hold | median bound | measured, 12 plans | regret | "
        f"measured, until {until:.0%} | regret | saved |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = {name: row(runs, number, until) for name, runs in found.items()}
    rows["mean"] = np.mean(list(rows.values()), axis=0)
    for name, (held, middle, plans, regret, ended, other) in rows.items():
        saved = 1 - ended / plans
        lines.append(
            f"| {name} | {held:.1%} | {middle:.1%} | {plans:.0f} | {regret:.2%} | {ended:.0f} | "
            f"{other:.2%} | {saved:.0%} |"
        )
    return "\n".join(lines)


def row(runs: list[list[Plan]], number: int, until: float) -> np.ndarray:
    """Returns a table's share of bounds that hold, their median, and both rules' ends."""
    plans = [plan for run in runs for plan in run]
    held = np.mean([plan.regret <= plan.bounds[number] + 1e-9 for plan in plans])
    middle = np.median([plan.bounds[number] for plan in plans])
    stale = [next((p for p in run if ended(p)), run[-1]) for run in runs]
    bounded = [
        next((p for p in run if ended(p) or ended_by(p, p.bounds[number], until)), run[-1])
        for run in runs
    ]
    ends = [
        np.mean([getattr(plan, field) for plan in ends])
        for ends in (stale, bounded)
        for field in ("measured", "regret")
    ]
    return np.array([held, middle, *ends])


def ended(plan: Plan) -> bool:
    """Whether patience ends a search after a plan."""
    return plan.stale >= Budgeting().patience


def ended_by(plan: Plan, bound: float, until: float) -> bool:
    """Whether a bound ends a search after a plan."""
    options = Budgeting()
    enough = plan.measured >= options.soonest and plan.stale >= options.settled
    return enough and bound <= until


if __name__ == "__main__":
    main()
