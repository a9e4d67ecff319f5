"""Counts the measurements that transfer saves: two tunings of a zoo to the same latencies.

    chameleon zoo zoo.yaml --out with
    chameleon zoo without.yaml --out without      # the same file, and "transfer: false"
    python scripts/compare_zoos.py with without

Compared are the weighted sums of all layers' best latencies. The goal is the latency that both zoos
reached, and such as are some per cent above it. Timings of different runs differ by a few per cent.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from chameleon_ray.report.summary import write_text

ABOVE = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Goals, as shares above the latency that both reached."""
Curve = Sequence[Sequence[float]]
"""``[measurements, seconds, ms]`` at every improvement."""


def curve(folder: Path) -> Curve:
    """Of a zoo that is finished.

    Raises:
        ValueError: It is none, or not every layer of it was timed.
    """
    try:
        body = json.loads((folder / "summary.json").read_text())
        points: Curve = body["curve"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{folder} holds no finished zoo") from None
    if not points:
        raise ValueError(f"not every layer of {folder} was timed")
    return points


def first(points: Curve, goal: float) -> int:
    """Measurements after which a latency was reached; it was."""
    return next(int(count) for count, _, ms in points if ms <= goal)


def compared(taught: Curve, alone: Curve) -> list[dict]:
    """Measurements of both zoos to every goal, and how many more the second took."""
    reached = max(taught[-1][2], alone[-1][2])
    found = []
    for share in ABOVE:
        goal = reached * (1 + share)
        counts = first(taught, goal), first(alone, goal)
        row = {"goal_ms": goal, "above": share, "with": counts[0], "without": counts[1]}
        found.append(row | {"saved": counts[1] - counts[0]})
    return found


def main() -> None:
    """Prints a table; writes it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("taught", type=Path, help="directory of a zoo with transfer")
    parser.add_argument("alone", type=Path, help="the same without")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    try:
        rows = compared(curve(arguments.taught), curve(arguments.alone))
    except ValueError as error:
        raise SystemExit(f"Error: {error}.") from error
    print(f"{'layers ms':>10} {'above':>6} {'with':>6} {'without':>8} {'saved':>6}")
    for row in rows:
        print(
            f"{row['goal_ms']:10.3f} {row['above']:6.0%} {row['with']:6} {row['without']:8} "
            f"{row['saved']:6}"
        )
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
