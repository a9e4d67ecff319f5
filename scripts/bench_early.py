"""Measures how near the best a search is after few measurements, with and without a store.

    python scripts/bench_early.py TABLE... [--seeds 10] [--measurements 25]

A store knows other layers of a layer's kind, and the same layer on other devices. So each table is
searched from nothing and taught by all others with the same knobs, once per seed, as ``chameleon
replay`` does. What is printed is the fraction of the optimum: the table's least latency over the
best one found, on average over the seeds.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from chameleon_ray.api.replay import replay
from chameleon_ray.options import Storing
from chameleon_ray.presets import PRESETS
from chameleon_ray.replay.table import Table, read_table


def main() -> None:
    """Searches and prints a table in Markdown."""
    arguments = parse()
    tables = [read_table(path) for path in arguments.tables]
    work = partial(compared, tables=tables, seeds=arguments.seeds, count=arguments.measurements)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(work, range(len(tables))))
    print(f"| table | teachers | from nothing | with a store | after {arguments.measurements} |")
    print("|---|---|---|---|---|")
    for table, (teachers, alone, taught) in zip(tables, rows, strict=True):
        print(f"| {table.name} | {teachers} | {alone:.3f} | {taught:.3f} | |")
    known = [row for row in rows if row[0]]
    alone, taught = (float(np.mean([row[n] for row in known])) for n in (1, 2))
    print(f"| mean of {len(known)} with teachers | | {alone:.3f} | {taught:.3f} | |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE", help="recorded tables")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--measurements", type=int, default=25, help="of a search; 25")
    parser.add_argument("--jobs", type=int, default=1, help="searches at once; 1")
    return parser.parse_args()


def compared(
    number: int, tables: Sequence[Table], seeds: int, count: int
) -> tuple[int, float, float]:
    """Returns a table's number of teachers, and its fraction of the optimum without and with."""
    table = tables[number]
    teachers = [other for other in tables if other is not table and alike(other, table)]
    teachers = teachers[: Storing().teachers]
    found = [fraction(table, seeds, count, known) for known in ((), teachers)]
    return len(teachers), *found


def alike(one: Table, other: Table) -> bool:
    """Whether two tables have the same knobs."""
    return {knob.name for knob in one.space.knobs} == {knob.name for knob in other.space.knobs}


def fraction(table: Table, seeds: int, count: int, teachers: Sequence[Table]) -> float:
    """Returns the least latency of a table over the best one found, on average over seeds."""
    runs = replay(table, PRESETS["chameleon"], count, range(seeds), teachers=teachers).runs
    best = [min(record.latency for record in run.records) for run in runs]
    return float(np.mean(table.optimum / np.array(best)))


if __name__ == "__main__":
    main()
