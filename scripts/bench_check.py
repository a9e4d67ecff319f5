"""Counts false alarms of ``chameleon check`` on this machine, and slowdowns of 5 % that it finds.

    python scripts/bench_check.py RUN [--times 100]

A finished run's library is compared with a copy of itself, as ``check --fail-if-slower 5%`` does
with a baseline and with the same settings, and again and again. What differs is the machine's own
noise. The slowdown is made by arithmetic: all latencies of the library are 1.05 times as long. Both
comparisons are made of the same timings, and end when each is clear.
"""

import argparse
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from chameleon_ray.api.pairs import Duel, Library, in_pairs
from chameleon_ray.api.run_timing import RunTimer, entry_of
from chameleon_ray.folder import RunFolder
from chameleon_ray.measure.slowdown import Slowdown, Times
from chameleon_ray.options import Checking, Confirming

LIMIT = 0.05


class Repeated:
    """Gives the timings of a duel once more, some of them longer; times what is missing."""

    def __init__(self, duel: Duel) -> None:
        self._duel = duel
        self._known = list[Sequence[Times]]()

    def comparison(self, ours: Path, theirs: Path, entry: str, slower: float) -> Slowdown:
        """Compares two libraries, as if the first one's latencies were ``slower`` times as long."""
        number = 0

        def duel(libraries: Sequence[Library], timing: Confirming) -> Sequence[Times]:
            nonlocal number
            if number == len(self._known):
                self._known.append(self._duel(libraries, timing))
            number += 1
            return [
                [(slower if file == ours else 1.0) * one for one in times]
                for (file, _), times in zip(libraries, self._known[number - 1], strict=True)
            ]

        return in_pairs(duel, ((ours, entry), (theirs, entry)), 1.0, LIMIT, Checking())


def main() -> None:
    """Prints both counts as they grow, and how long the comparisons of equal libraries took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run")
    parser.add_argument("--times", type=int, default=100, help="comparisons; 100")
    arguments = parser.parse_args()
    folder = RunFolder(arguments.run, existing=True)
    entry, alarms, found = entry_of(folder.identity() or {}), 0, 0
    for number in range(1, arguments.times + 1):
        with ExitStack() as stack:
            place = stack.enter_context(TemporaryDirectory())
            copy = Path(shutil.copy(folder.library, Path(place) / "baseline.so"))
            began, repeated = time.perf_counter(), Repeated(RunTimer(folder, stack).duel)
            equal = repeated.comparison(folder.library, copy, entry, 1.0)
            seconds = time.perf_counter() - began
            slower = repeated.comparison(folder.library, copy, entry, 1 + LIMIT)
        alarms, found = alarms + equal.reaches(LIMIT), found + slower.reaches(LIMIT)
        print(
            f"{number}: {alarms} false alarms, {found} slowdowns found; {100 * equal.share:+.1f} % "
            f"in {equal.pairs} pairs ({seconds:.0f} s), {100 * slower.share:+.1f} % in "
            f"{slower.pairs}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    folder.close()


if __name__ == "__main__":
    main()
