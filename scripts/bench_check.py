"""Counts false alarms of ``chameleon check`` on this machine, and slowdowns of 5 % that it finds.

    python scripts/bench_check.py RUN [--times 100]

A finished run's library is timed in turns with itself, as ``check --fail-if-slower 5%`` does with a
baseline, and again and again. What differs is the machine's own noise. The slowdown is made by
arithmetic: all latencies of one side are 1.05 times as long.
"""

import argparse
from pathlib import Path

from chameleon_ray.api.finished_run import entry_of, in_turns
from chameleon_ray.folder import RunFolder
from chameleon_ray.measure.slowdown import Slowdown
from chameleon_ray.options import Confirming

LIMIT = 0.05


def main() -> None:
    """Prints both counts as they grow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run")
    parser.add_argument("--times", type=int, default=100, help="comparisons; 100")
    arguments = parser.parse_args()
    folder = RunFolder(arguments.run, existing=True)
    library = (folder.library, entry_of(folder.identity() or {}))
    alarms = found = 0
    for number in range(1, arguments.times + 1):
        ours, theirs = in_turns(folder, (library, library), Confirming())
        slower = [(1 + LIMIT) * latency for latency in ours]
        alarms += Slowdown.of(ours, theirs).reaches(LIMIT)
        found += Slowdown.of(slower, theirs).reaches(LIMIT)
        print(f"{number}: {alarms} false alarms, {found} slowdowns found", flush=True)
    folder.close()


if __name__ == "__main__":
    main()
