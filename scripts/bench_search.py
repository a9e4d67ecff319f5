"""Compares search systems on recorded tables, in figures, pictures and Markdown.

    python scripts/bench_search.py TABLE... [--seeds 20] [--measurements 200] [--systems A,B,...]

Every system searches every table once per seed, as ``chameleon replay`` does. A unit of work is one
system, one table and some seeds; it has a process of its own, and what it found is kept under
``--out``, so an interrupted comparison goes on where it was. Kept results are taken over only if
table, system and measurements are the same; after a change of the search itself choose another
folder. Systems that walk with PPO take seconds per search and get fewer seeds.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

from bench_figures import GIVEN, Found, summary
from bench_report import markdown, tables
from bench_systems import QUICK, SYSTEMS
from rich.console import Console

from chameleon_ray.api.replay import destinations, replay, walks
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.report.replay import MARKS, ReplayResult, figures
from chameleon_ray.report.summary import write_text

CHUNK = 10
"""Seeds of one unit."""
WALKING_CHUNK = 5


@dataclass(frozen=True, eq=False)
class Unit:
    """What one process does: some seeds of one system on one table."""

    table: Table
    system: str
    seeds: tuple[int, ...]
    measurements: int
    folder: Path

    @property
    def path(self) -> Path:
        name = f"{self.table.name}.{self.system}.{self.seeds[0]}-{self.seeds[-1]}.json"
        return self.folder / name.replace(":", "_")

    @property
    def identity(self) -> dict:
        """What the results depend on, the code apart."""
        return {
            "table": [self.table.name, self.table.space.digest, len(self.table)],
            "latencies": crc32(self.table.latency.tobytes()),
            "system": json.loads(json.dumps(asdict(SYSTEMS[self.system]))),
            "seeds": list(self.seeds),
            "measurements": self.measurements,
        }

    def found(self) -> list[dict] | None:
        """Figures per seed; None where there are none yet, or they are of something else."""
        try:
            kept = json.loads(self.path.read_text())
            return kept["found"] if kept["unit"] == self.identity else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def main() -> None:
    """Searches what is missing, then reports."""
    arguments = parse()
    try:
        destinations(None, arguments.json, ())
        arguments.out.mkdir(parents=True, exist_ok=True)
        units = list(planned(arguments, [read_table(path) for path in arguments.tables]))
        missing = [unit for unit in units if unit.found() is None]
        print(f"{len(units) - len(missing)} of {len(units)} units are there.", file=sys.stderr)
        work(missing, arguments.processes)
        report(arguments, units)
    except UserError as error:
        raise SystemExit(f"Error: {error}") from error
    except OSError as error:
        raise SystemExit(f"Error: {error.filename}: {error.strerror}.") from error
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on where it was.", file=sys.stderr)
        raise SystemExit(130) from None


def parse() -> argparse.Namespace:
    """The command line; ``--quick`` is for what is not given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    cores = len(available())
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE", help="recorded tables")
    parser.add_argument("--seeds", type=int, help="of a system; 20")
    parser.add_argument("--ppo-seeds", type=int, default=10, help="most where PPO walks; 10")
    parser.add_argument("--measurements", type=int, default=200, help="of a search; 200")
    parser.add_argument("--systems", help=f"some of {', '.join(SYSTEMS)}; all")
    parser.add_argument("--processes", type=int, default=cores, help="at once, one per core most")
    parser.add_argument("--out", type=Path, default=Path("runs/bench_search"), help="for results")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plots", type=Path, help="folder for pictures; OUT/plots")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown, too")
    parser.add_argument("--quick", action="store_true", help="3 seeds of few systems: minutes")
    arguments = parser.parse_args()
    names = (arguments.systems or ",".join(QUICK if arguments.quick else SYSTEMS)).split(",")
    arguments.systems = list(dict.fromkeys(names))
    if arguments.seeds is None:
        arguments.seeds = 3 if arguments.quick else 20
    arguments.processes = min(arguments.processes, cores)
    strange = [name for name in arguments.systems if name not in SYSTEMS]
    if strange:
        parser.error(f"there is no system {strange[0]!r}; choose among {', '.join(SYSTEMS)}")
    for name in ("seeds", "ppo_seeds", "measurements", "processes"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return arguments


def planned(arguments: argparse.Namespace, recorded: Sequence[Table]) -> Iterator[Unit]:
    """All units, slow ones first, so that no process works alone at the end.

    Raises:
        UserError: Two tables have the same name.
    """
    names = [table.name for table in recorded]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"Two tables are called {twice}; rename a file.")
    pairs = [(system, table) for system in arguments.systems for table in recorded]
    pairs.sort(key=lambda pair: not walks(SYSTEMS[pair[0]], pair[1].space))
    for system, table in pairs:
        slow = walks(SYSTEMS[system], table.space)
        count = min(arguments.seeds, arguments.ppo_seeds) if slow else arguments.seeds
        chunk = WALKING_CHUNK if slow else CHUNK
        for first in range(0, count, chunk):
            seeds = tuple(range(first, min(first + chunk, count)))
            yield Unit(table, system, seeds, arguments.measurements, arguments.out)


def work(units: Sequence[Unit], processes: int) -> None:
    """Has every unit done by a process of its own, so many at once.

    Raises:
        UserError: Some failed; what the others found is kept.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # the children import NumPy afresh
    began, failed = time.perf_counter(), []
    with ThreadPoolExecutor(processes) as pool:
        try:
            for number, (unit, well) in enumerate(pool.map(in_child, units), 1):
                failed += [] if well else [unit.path.name]
                said = f"{number} of {len(units)} after {time.perf_counter() - began:.0f} s"
                print(f"{said}: {unit.path.name}", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise UserError(f"{len(failed)} units failed, the first is {failed[0]}; run this again.")


def in_child(unit: Unit) -> tuple[Unit, bool]:
    child = get_context("spawn").Process(target=search, args=(unit,))
    child.start()
    child.join()
    return unit, child.exitcode == 0


def search(unit: Unit) -> None:
    """One unit's searches, and their figures into its file."""
    try:
        result = replay(unit.table, SYSTEMS[unit.system], unit.measurements, unit.seeds)
    except UserError as error:
        raise SystemExit(f"{unit.path.name}: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    found = [one_seed(result, number, unit.system) for number in range(len(unit.seeds))]
    write_text(unit.path, json.dumps({"unit": unit.identity, "found": found}, allow_nan=False))


def one_seed(result: ReplayResult, number: int, system: str) -> dict:
    run = result.runs[number]
    body = figures(replace(result, runs=(run,)), system)
    return body | {"plans": [record.plan for record in run.records], "queries": run.queries}


def report(arguments: argparse.Namespace, units: Sequence[Unit]) -> None:
    """Prints, and writes what was asked for."""
    found: dict[str, dict[str, list[dict]]] = {system: {} for system in arguments.systems}
    for unit in sorted(units, key=lambda unit: unit.seeds):
        found[unit.system].setdefault(unit.table.name, []).extend(unit.found() or [])
    names = sorted({unit.table.name for unit in units})
    found = {system: {name: runs[name] for name in names} for system, runs in found.items()}
    body = {
        "measurements": arguments.measurements,
        "marks": [str(mark) for mark in MARKS if mark <= arguments.measurements],
        "tables": names,
        "systems": summary(found),
        "given": GIVEN,
    }
    console = Console(width=max(Console().width, 132))
    for table in tables(body):
        console.print(table, "")
    if arguments.markdown:
        print(markdown(body))
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(body, indent=2, allow_nan=False) + "\n")
    pictures(found, arguments.plots or arguments.out / "plots")


def pictures(found: Found, folder: Path) -> None:
    if find_spec("matplotlib") is None:
        print("No pictures: pip install 'chameleon_ray[bench]' brings Matplotlib.", file=sys.stderr)
        return
    from bench_plots import draw  # Matplotlib is optional

    written = draw(found, folder)
    size = sum(path.stat().st_size for path in written) / 1024
    print(f"{len(written)} pictures, {size:.0f} KB, in {folder}.", file=sys.stderr)


if __name__ == "__main__":
    main()
