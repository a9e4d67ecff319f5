"""Throughput of the engine over the number of devices, on recorded ones: a curve, and its figures.

    python scripts/bench_scaling.py [TABLE...] [--devices 1,2,4,8,16] [--json FILE] [--plot FILE]

The real engine with the real search and real Ray actors tunes the layers of recorded tables (those
of tests/data unless others are given). Devices sleep for as long as each measurement took when it
was recorded, so they need no cores; building takes no time. What is left is what the engine costs.
All numbers of devices take turns, ``--rounds`` times.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench_devices import Run, Setup, run
from spread import spread

from chameleon_ray.api.algorithms import chosen
from chameleon_ray.api.replay import destinations, walks
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available
from chameleon_ray.presets import PRESETS
from chameleon_ray.replay.table import Table, read_table

DATA = Path(__file__).parents[1] / "tests" / "data"
WARM = 3.0
"""Seconds of the engine that do not count: the first plans are yet to be made."""
LEAST = 0.01
"""Seconds; tables whose measurements took less on average are no recordings of a device."""


def main() -> None:
    """Runs every round, prints the table, writes what was asked for."""
    arguments = parse()
    try:
        destinations(None, arguments.json, ())
        if arguments.plot and find_spec("matplotlib") is None:
            raise UserError("--plot needs matplotlib; install it with: pip install '.[bench]'")
        tables = recordings(arguments.tables or sorted(DATA.glob("*.parquet")))
        search = chosen(arguments.preset)
        runs = measured(arguments, tables, search)
    except (UserError, RuntimeError) as error:
        raise SystemExit(f"Error: {error}") from error
    body = figures(runs) | {
        "tables": {name: float(table.run_seconds.mean()) for name, table in tables.items()},
        "layers": arguments.layers,
        "preset": arguments.preset,
        "seconds": arguments.seconds,
        "pace": arguments.pace,
        "machine": {"cpus": os.cpu_count(), "system": platform.platform()},
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(body, indent=2) + "\n")
    if arguments.plot:
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        draw(body["points"], arguments.plot)
    print(table_of(body["points"]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("tables", metavar="TABLE", nargs="*", type=Path, help="recorded spaces")
    parser.add_argument("--devices", type=counts, default=(1, 2, 4, 8, 16), help="1,2,4,8,16")
    parser.add_argument("--layers", type=int, default=32, help="of the model; tables repeat")
    parser.add_argument("--in-flight", type=int, help="layers at once; 2 and two per device")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run that count")
    parser.add_argument("--pace", type=float, default=1.0, help="times the recorded seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--search-cores", type=int, help="search as if there were so many")
    parser.add_argument("--preset", choices=PRESETS, default="chameleon")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plot", type=Path, help="where to draw the curve, as SVG")
    arguments = parser.parse_args()
    amounts = (arguments.layers, arguments.seconds, arguments.rounds, arguments.pace)
    if min(*amounts, 1 if arguments.in_flight is None else arguments.in_flight) <= 0:
        parser.error("layers, seconds, pace and rounds must be more than 0.")
    return arguments


def counts(text: str) -> tuple[int, ...]:
    """Numbers of devices, ascending."""
    numbers = tuple(sorted({int(part) for part in text.split(",")}))
    if numbers[0] < 1:
        raise ValueError(text)
    return numbers


def recordings(paths: Sequence[Path]) -> dict[str, Table]:
    """Tables by name; where nobody asked for them, those of formulas are left out.

    Raises:
        UserError: One cannot be read, or nothing is left.
    """
    tables = {table.name: table for table in map(read_table, paths)}
    timed = {name: table for name, table in tables.items() if table.run_seconds.mean() >= LEAST}
    if not timed:
        raise UserError("No table says how long its measurements took; give one that does.")
    return timed


def measured(arguments: argparse.Namespace, tables: Mapping[str, Table], search: Any) -> list[Run]:
    """All rounds, in one Ray session.

    Raises:
        UserError: PPO would walk the table, which is not what is measured here.
    """
    from chameleon_ray.cluster import ray_session  # Ray: not for --help

    large = next((name for name, table in tables.items() if walks(search, table.space)), None)
    if large is not None:
        raise UserError(f"PPO would walk {large}; choose smaller tables or another --preset.")
    cores = arguments.search_cores or len(available())
    setup = Setup(tables, arguments.layers, WARM, arguments.seconds, search, cores, arguments.pace)
    runs = []
    with ray_session.start(None, len(available())):
        for seed in range(arguments.rounds):
            for devices in arguments.devices:
                in_flight = min(arguments.in_flight or 2 + 2 * devices, arguments.layers)
                runs.append(run(setup, devices, in_flight, seed))
                print(line(runs[-1]), file=sys.stderr, flush=True)
    return runs


def line(one: Run) -> str:
    """A run, for people who wait."""
    busy = ", ".join(f"{name} {share:.0%}" for name, share in one.busy.items())
    return (
        f"{one.devices} devices, {one.layers_in_flight} layers in flight: {one.throughput:.1f}/s, "
        f"devices {one.busy_share:.1%} busy ({busy})"
    )


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """A point per number of devices: medians over the rounds, with interquartile ranges.

    ``speedup`` is of the time that devices were measuring, ``measurement_ratio`` of the
    measurements, each over that of the fewest devices in the same round and per device of these.
    """
    by_devices: dict[int, list[Run]] = {}
    for one in runs:
        by_devices.setdefault(one.devices, []).append(one)
    fewest = by_devices[min(by_devices)]
    points = [
        {
            "devices": devices,
            "layers_in_flight": some[0].layers_in_flight,
            "measurements_per_second": spread([one.throughput for one in some]),
            "busy_share": spread([one.busy_share for one in some]),
            "speedup": spread(
                [
                    one.working / base.working * base.devices
                    for one, base in zip(some, fewest, strict=True)
                ]
            ),
            "measurement_ratio": spread(
                [
                    one.throughput / base.throughput * base.devices
                    for one, base in zip(some, fewest, strict=True)
                ]
            ),
        }
        for devices, some in sorted(by_devices.items())
    ]
    return {"points": points, "runs": [asdict(one) for one in runs]}


TITLES = ("devices", "layers in flight", "measurements per s", "devices busy", "times one device")


def table_of(points: Sequence[Mapping]) -> str:
    """The points as Markdown."""
    rows = [
        (
            str(point["devices"]),
            str(point["layers_in_flight"]),
            "{median:.1f} ± {spread:.1f}".format(**point["measurements_per_second"]),
            "{median:.1%} ± {spread:.1%}".format(**point["busy_share"]),
            "{median:.2f} ± {spread:.2f}".format(**point["speedup"]),
        )
        for point in points
    ]
    cells = [TITLES, ("---:",) * len(TITLES), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def draw(points: Sequence[Mapping], path: Path) -> None:
    """Times one device, and how busy the devices are, over their number, as SVG."""
    import matplotlib as mpl
    from bench_plots import STYLE, shorter
    from matplotlib.figure import Figure

    devices = [point["devices"] for point in points]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(devices, devices, linestyle=":", color="gray", label="ideal")
        left.plot(devices, [p["speedup"]["median"] for p in points], marker="o", label="measured")
        left.set(xlabel="recorded devices", ylabel="times one device", ylim=(0, None))
        left.legend(frameon=False)
        right.plot(devices, [100 * p["busy_share"]["median"] for p in points], marker="o")
        right.set(xlabel="recorded devices", ylabel="devices busy, %", ylim=(0, 100))
        figure.savefig(path, format="svg", metadata={"Date": None})
    path.write_text(shorter(path.read_text()))


if __name__ == "__main__":
    main()
