"""Measures the memory of a whole tuning run: the peak of all processes, and its growth.

    python scripts/measure_footprint.py MODEL [--trials N] [--minutes M] [--out RUN] [--json FILE]

``chameleon tune MODEL`` is run, and the proportional set sizes of all its processes, Ray's
included, are added up every ``--interval`` seconds: what processes share counts once. A process
that outlives its parent is still counted. Growth is that of the search: how much more each further
thousand measurements takes, by the samples between the first measurement and the last.
"""

import argparse
import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import psutil

from chameleon_ray.api.replay import destinations
from chameleon_ray.database import Database
from chameleon_ray.errors import UserError

SUBREAPER = 36
"""Linux: whoever sets it inherits the orphans among its descendants."""
SETTLED = 0.25
"""Share of the measurements, the first ones, in which processes still start and fill caches."""


@dataclass(frozen=True)
class Sample:
    """All processes at one moment: seconds since the command began, bytes by kind of process."""

    seconds: float
    bytes: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.bytes.values())


def main() -> None:
    """Runs the command, prints what it took, writes what was asked for."""
    arguments = parse()
    try:
        destinations(None, arguments.json, ())
        if arguments.out is not None and arguments.out.exists():
            raise UserError(f"--out {arguments.out}: exists; choose another folder.")
        with TemporaryDirectory() as folder:
            body = measured(arguments, arguments.out or Path(folder) / "run")
    except UserError as error:
        raise SystemExit(f"Error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if arguments.json:
        arguments.json.write_text(json.dumps(body, indent=2) + "\n")
    print(words(body))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("model", metavar="MODEL", help="as for chameleon tune")
    parser.add_argument("--trials", type=int, help="of the run; as chameleon tune has it")
    parser.add_argument("--minutes", type=float, help="of the run; as chameleon tune has it")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between samples")
    parser.add_argument("--out", type=Path, help="where the run is kept; not at all if left out")
    parser.add_argument("--json", type=Path, help="where to write the figures and all samples")
    arguments = parser.parse_args()
    if not arguments.interval > 0:
        parser.error("--interval must be more than 0.")
    return arguments


def measured(arguments: argparse.Namespace, run: Path) -> dict[str, Any]:
    """Runs ``chameleon tune`` to its end.

    Raises:
        UserError: It failed; its last words.
    """
    command = [sys.executable, "-m", "chameleon_ray", "tune", arguments.model, "--out", str(run)]
    command += ["--store", "none"]
    for name in ("trials", "minutes"):
        if getattr(arguments, name) is not None:
            command += [f"--{name}", str(getattr(arguments, name))]
    adopt()
    with TemporaryFile() as log:
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
            samples = list(watch(process, arguments.interval))
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        last = said[-1] if said else "it said nothing"
        raise UserError(f"chameleon tune failed: {last.removeprefix('Error: ')}")
    ended = [record.finished for record in Database(run / "records").read()]
    return {"model": arguments.model, "interval": arguments.interval, **figures(samples, ended)}


def adopt() -> None:
    """Makes this process the parent of descendants whose own parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)


def watch(process: subprocess.Popen, interval: float) -> Any:
    """A sample every ``interval`` seconds until the process has ended."""
    began = time.perf_counter()
    while process.poll() is None:
        yield Sample(time.perf_counter() - began, footprint(psutil.Process()))
        time.sleep(interval)


def footprint(root: psutil.Process) -> dict[str, int]:
    """Bytes of all descendants, by kind; those that end meanwhile are left out."""
    found: dict[str, int] = {}
    for process in root.children(recursive=True):
        try:
            kind = kind_of(process.cmdline())
            found[kind] = found.get(kind, 0) + proportional(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def proportional(pid: int) -> int:
    """Bytes of a process, its share of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])
    return 0


def kind_of(command: Sequence[str]) -> str:
    """What a process is, by its command line."""
    text = " ".join(command)
    if text.startswith("ray::"):
        return text.split()[0].partition("(")[0].rstrip(":")
    if "chameleon_ray.measure.isolate" in text:
        return "builders, runner and model"
    if "chameleon_ray" in text:
        return "command"
    return "Ray" if "ray" in text else "others"


def figures(samples: Sequence[Sample], ended: Sequence[float]) -> dict[str, Any]:
    """Peak and growth.

    Args:
        samples: Of the whole command, in order.
        ended: Seconds after which each measurement ended, in any order.

    Raises:
        UserError: There is nothing to look at.
    """
    if not samples:
        raise UserError("The command ended before its first sample; give a shorter --interval.")
    peak = max(samples, key=lambda sample: sample.total)
    order = sorted(ended)
    points = []
    for sample in samples:
        done = sum(end <= sample.seconds for end in order)
        if SETTLED * len(order) <= done < len(order):
            points.append((done, sample.total))
    return {
        "peak_bytes": peak.total,
        "peak_seconds": peak.seconds,
        "peak_by_kind": dict(sorted(peak.bytes.items(), key=lambda one: -one[1])),
        "measurements": len(order),
        "search": growth(points),
        "samples": [(sample.seconds, sample.total) for sample in samples],
    }


def growth(points: Sequence[tuple[int, int]]) -> dict[str, float] | None:
    """Medians of the first and last third, and the slope; None of too few points.

    Args:
        points: Measurements so far, and bytes.
    """
    counts, sizes = [count for count, _ in points], [size for _, size in points]
    if len(points) < 3 or counts[0] == counts[-1]:
        return None
    third = len(points) // 3
    return {
        "first_bytes": median(sizes[:third]),
        "last_bytes": median(sizes[-third:]),
        "bytes_per_1000": 1000 * linear_regression(counts, sizes).slope,
    }


def words(body: Mapping[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{body['model']}: {body['measurements']} measurements, "
        f"peak {body['peak_bytes'] / 1e9:.2f} GB after {body['peak_seconds']:.0f} s"
    ]
    lines += [f"  {size / 1e9:5.2f} GB {kind}" for kind, size in body["peak_by_kind"].items()]
    if search := body["search"]:
        first, last, slope = (
            search[name] / 1e6 for name in ("first_bytes", "last_bytes", "bytes_per_1000")
        )
        lines.append(
            f"in the search: {first:.0f} MB at first, {last:.0f} MB at last, {slope:+.0f} MB per "
            "1000 measurements"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
