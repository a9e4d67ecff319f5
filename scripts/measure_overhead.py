"""Works out what measuring costs besides builds and runs, in seconds per measurement.

    python scripts/measure_overhead.py RUN [RUN ...] [--cores N] [--json FILE]

The ratio is the wall time of the search times its cores, over what builders and runners were busy
for: 1 where every core builds or runs all the time. The first fifth of the measurements, with the
start of the workers in it, is shown apart.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chameleon_ray.database import Database
from chameleon_ray.measure.cores import available
from chameleon_ray.record import Record

FIRST = 0.2
PHASES = ("fit", "explore", "sample", "drive")
"""What else the search's processes do; the driver's part counts its start, too."""


def main() -> None:
    """Prints a line per run, and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="a run directory")
    parser.add_argument("--cores", type=int, default=len(available()), help="of the run; all")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    found = {str(run): of_run(run, arguments.cores) for run in arguments.runs}
    for run, parts in found.items():
        print(run)
        for name, part in parts.items():
            print(f"  {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in part.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def of_run(run: Path, cores: int) -> dict[str, dict[str, float]]:
    """The whole search, its beginning and the rest, and what other phases took per measurement.

    Raises:
        SystemExit: The run is not finished, or measured hardly anything.
    """
    try:
        summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    except OSError as error:
        raise SystemExit(f"Error: {run} holds no finished run ({error.strerror}).") from error
    records = sorted(Database(run / "records").read(), key=lambda record: record.finished)
    if len(records) < 10:
        raise SystemExit(f"Error: {run} has only {len(records)} measurements.")
    first = round(FIRST * len(records))
    busy: dict[str, float] = {}
    for process in summary["processes"]:
        for phase, seconds in process["busy"].items():
            busy[phase] = busy.get(phase, 0.0) + seconds
    return {
        "search": overhead(records, cores),
        "its beginning": overhead(records[:first], cores),
        "the rest": overhead(records[first:], cores, records[first - 1].finished),
        "other seconds": {p: busy[p] / len(records) for p in PHASES if p in busy},
    }


def overhead(records: Sequence[Record], cores: int, began: float | None = None) -> dict[str, float]:
    """Seconds per measurement, of records in order of completion.

    Args:
        records: At least one.
        cores: That builders and runners had.
        began: Seconds of the run; when the first record's build began where None.
    """
    first, count = records[0], len(records)
    if began is None:
        began = first.finished - first.build_seconds - first.run_seconds
    wall = records[-1].finished - began
    build = sum(record.build_seconds for record in records)
    run = sum(record.run_seconds for record in records)
    return {
        "measurements": count,
        "seconds": wall / count,
        "build": build / count,
        "run": run / count,
        "ratio": wall * cores / (build + run),
    }


if __name__ == "__main__":
    main()
