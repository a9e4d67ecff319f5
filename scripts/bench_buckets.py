"""Compares one library of several batches with a library for each, all tuned here.

    python scripts/bench_buckets.py together DIR MODEL --input 'x:{1,2,4,8}x3x224x224' --minutes 6
    python scripts/bench_buckets.py alone DIR MODEL --input 'x:{1,2,4,8}x3x224x224' --minutes 3
    python scripts/bench_buckets.py compare DIR

``alone`` tunes every bucket by itself, ``--minutes`` for each; with ``--bucket 2`` only that one.
``compare`` times each bucket of the one library in turns with the library tuned for it alone, and
prints ratios: latencies, measurements, and sizes. Stores are not used. It ends with 1 where a
bucket takes more than 1.05 times as long as alone, more than half of the measurements were made,
or the one library is larger than 1.5 times the largest of the others.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from chameleon_ray.answering import errors
from chameleon_ray.api.bucketed import tune_buckets
from chameleon_ray.api.run import tune
from chameleon_ray.api.run_timing import entry_of, in_turns
from chameleon_ray.compiler.frontend.buckets import buckets_of
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Confirming, Request
from chameleon_ray.report.live_table import watching
from chameleon_ray.report.progress import Progress
from chameleon_ray.run_files import runs_of

LATENCY, MEASUREMENTS, SIZE = 1.05, 0.5, 1.5
"""Most of each ratio."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stage", choices=("together", "alone", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--engine", default="ray")
    parser.add_argument("--explorer", help="As for tune; without Ray it cannot be ppo.")
    parser.add_argument("--bucket", help="Only that of these extents, as 2.")
    parser.add_argument("--turns", type=int, default=40)
    asked = parser.parse_args()
    if asked.stage == "compare":
        return compare(asked.folder, asked.turns)
    request = Request(
        asked.model,
        tuple(asked.input),
        minutes=asked.minutes,
        trials=asked.trials,
        engine=asked.engine,
        explorer=asked.explorer,
        store="none",
        compare=(),
    )
    tune_all(request, asked.folder, asked.stage == "together", asked.bucket)
    return 0


def tune_all(request: Request, folder: Path, together: bool, only: str | None) -> None:
    """Tunes one library of all buckets, or one for each."""
    if together:
        with watching(progress := Progress(), errors):
            tune_buckets(replace(request, out=str(folder / "together")), progress)
        return
    for bucket in buckets_of(request.inputs):
        if only is not None and bucket.name != f"bucket-{only}":
            continue
        out = str(folder / "alone" / bucket.name)
        with watching(progress := Progress(), errors):
            tune(replace(request, inputs=bucket.inputs, out=out), progress)


def compare(folder: Path, turns: int) -> int:
    """Prints the ratios; returns 1 where one is too large."""
    together = summary(folder / "together")
    rows, made, sizes = [], 0, []
    for run in runs_of(folder / "together"):
        alone = folder / "alone" / run.name
        made += summary(alone)["measurements"]["total"]
        sizes.append((alone / "model.so").stat().st_size)
        rows.append((run.name, *timed(run, alone, turns)))
    print("| bucket | together ms | alone ms | ratio |\n|---|---|---|---|")
    for name, one, other in rows:
        print(f"| {name} | {1e3 * one:.4g} | {1e3 * other:.4g} | {one / other:.3f} |")
    worst = max(one / other for _, one, other in rows)
    measurements = together["measurements"]["total"] / made
    size = together["library_bytes"] / max(sizes)
    print(f"measurements: {together['measurements']['total']} of {made}, ratio {measurements:.2f}")
    print(f"size: {together['library_bytes'] / 2**20:.1f} MiB, ratio to the largest {size:.2f}")
    return int(worst > LATENCY or measurements > MEASUREMENTS or size > SIZE)


def summary(run: Path) -> dict[str, Any]:
    """Reads a run's summary."""
    file = run / "summary.json"
    if not file.exists():
        raise UserError(f"{file} is missing; run the stages together and alone before compare.")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def timed(run: Path, alone: Path, turns: int) -> tuple[float, float]:
    """Returns the medians in seconds of a bucket and of the library tuned for it, in turns."""
    with ExitStack() as stack:
        folder, other = (RunFolder(path, existing=True) for path in (run, alone))
        stack.callback(folder.close)
        stack.callback(other.close)
        libraries = [(one.library, entry_of(one.identity() or {})) for one in (folder, other)]
        options = Confirming(model_repeats=turns, model_seconds=60)
        first, second = in_turns(folder, libraries, options)
    return median(first), median(second)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"Error: {error}")
