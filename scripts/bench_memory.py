"""Compares orders of irregularly wired networks by the memory they take: a table, per network.

    python scripts/bench_memory.py [--seeds 10] [--seconds 30] [--compile] [--json FILE]

The baseline is what an embedded runtime does: operations in the framework's order, concatenations
copied, buffers placed first-fit in one arena. Against it: the best order, where a convolution reads
the parts of a concatenation where they are; and that order of the rewritten graph; both in an arena
of the same rule. ``--compile`` adds what TVM's planner allocates for the zoo's networks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from chameleon_ray.graph import darts, randwire, swiftnet
from chameleon_ray.graph.arena import place
from chameleon_ray.graph.graph import Graph
from chameleon_ray.graph.rewriting import rewrite
from chameleon_ray.graph.scheduler import schedule
from chameleon_ray.graph.wiring import graph_of
from chameleon_ray.options import Scheduling

PAPER = {
    "darts-cell": (1656, 903, 753),
    "swiftnet-a": (552, 251, 226),
    "swiftnet-b": (194, 82, 72),
    "swiftnet-c": (70, 33, 20),
}
"""KB in TensorFlow Lite, scheduled, and rewritten, as the paper has them."""
ZOO = ("swiftnet-a", "swiftnet-b", "swiftnet-c", "swiftnet", "darts-cell", "darts-cells")


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        baseline: Bytes of the arena of the framework's order with copied concatenations.
        peaks: Bytes at the peak of the baseline, of the best order, and of the rewritten graph's.
        scheduled: Bytes of the arena of the best order.
        rewritten: The same of the rewritten graph.
        nodes: Operations before and after rewriting.
        optimal: Whether both orders are known to be the best.
        seconds: For both orders.
    """

    network: str
    baseline: int
    peaks: tuple[int, int, int]
    scheduled: int
    rewritten: int
    nodes: tuple[int, int]
    optimal: bool
    seconds: float


def main() -> None:
    """Prints the table, and writes the figures where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="of RandWire stages of 32 nodes")
    parser.add_argument("--large", type=int, default=2, help="how many stages of 64 nodes")
    parser.add_argument("--seconds", type=float, default=30.0, help="most for an order")
    parser.add_argument("--compile", action="store_true", help="ask TVM's planner, too")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    options = Scheduling(seconds=arguments.seconds)
    rows = []
    for name, baseline, graph in networks(arguments.seeds, arguments.large):
        rows.append(row(name, baseline, graph, options))
        print(f"{name}: {rows[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    console = Console(width=max(Console().width, 120))
    console.print(table(rows))
    planned = list(compiled()) if arguments.compile else []
    if planned:
        console.print(planner_table(planned))
    if arguments.json is not None:
        body = {"rows": [asdict(one) for one in rows], "planned": planned}
        arguments.json.write_text(json.dumps(body, indent=2) + "\n")


def networks(seeds: int, large: int) -> Iterator[tuple[str, Graph, Graph]]:
    """Names, graphs with concatenations copied, and graphs without."""
    wirings = [("darts-cell", darts.cell(), 4)]
    wirings += [(f"swiftnet-{cell}", swiftnet.cell(cell), 1) for cell in swiftnet.CELLS]
    wirings += [(f"randwire:{seed}", randwire.stage(seed), 1) for seed in range(seeds)]
    wirings += [
        (f"randwire:{seed}, all before", randwire.stage(seed, ancestors=True), 1)
        for seed in range(seeds)
    ]
    wirings += [
        (f"randwire:{seed}, 64 nodes", randwire.stage(seed, 64), 1) for seed in range(large)
    ]
    for name, ops, itemsize in wirings:
        yield name, graph_of(ops, itemsize, copies=True), graph_of(ops, itemsize)


def row(name: str, baseline: Graph, graph: Graph, options: Scheduling) -> Row:
    began = time.perf_counter()
    own = range(len(baseline.nodes))
    parts = rewrite(graph)
    best = schedule(graph, options)
    after = best if parts == graph else schedule(parts, options)
    return Row(
        network=name,
        baseline=place(baseline, own).bytes,
        peaks=(baseline.peak(own), best.peak, after.peak),
        scheduled=place(graph, best.order).bytes,
        rewritten=place(parts, after.order).bytes,
        nodes=(len(graph.nodes), len(parts.nodes)),
        optimal=best.optimal and after.optimal,
        seconds=time.perf_counter() - began,
    )


def table(rows: list[Row]) -> Table:
    """A row per network or family, then the geometric mean over the networks the paper has."""
    shown = Table(box=None, pad_edge=False)
    for title in ("network", "baseline KB", "scheduled", "less", "rewritten", "less"):
        shown.add_column(title, justify="left" if title == "network" else "right")
    for title in ("paper", "", "optimal", "seconds"):
        shown.add_column(title, justify="right")
    for one in rows:
        known = PAPER.get(one.network)
        shown.add_row(
            one.network,
            f"{one.baseline / 1e3:.0f}",
            f"{one.scheduled / 1e3:.0f}",
            f"{one.baseline / one.scheduled:.2f}x",
            f"{one.rewritten / 1e3:.0f}",
            f"{one.baseline / one.rewritten:.2f}x",
            *(f"{known[0] / one_of:.2f}x" if known else "" for one_of in (known or (0, 1, 1))[1:]),
            "yes" if one.optimal else "no",
            f"{one.seconds:.2f}",
        )
    for family, members in families(rows).items():
        least = [mean([m.baseline / getattr(m, which) for m in members]) for which in STAGES]
        peaks = [mean([m.peaks[0] / m.peaks[n] for m in members]) for n in (1, 2)]
        shown.add_row(
            f"mean of {family}",
            *("", "", f"{least[0]:.2f}x", "", f"{least[1]:.2f}x"),
            *("", f"peaks {peaks[0]:.2f}x {peaks[1]:.2f}x", "", ""),
            style="bold",
        )
    return shown


STAGES = ("scheduled", "rewritten")


def families(rows: list[Row]) -> dict[str, list[Row]]:
    """What geometric means are over."""
    cells = [one for one in rows if one.network in PAPER]
    direct = [one for one in rows if one.network.startswith("randwire") and "," not in one.network]
    before = [one for one in rows if one.network.endswith("all before")]
    paper = [*cells, *before[:5]]
    found = {"the cells": cells, "randwire": direct, "randwire, all before": before}
    return {**found, "the cells and five of the last": paper}


def mean(values: list[float]) -> float:
    """Geometric."""
    return float(np.exp(np.mean(np.log(values))))


def compiled() -> Iterator[dict]:
    """The figures of ``chameleon memory`` for the zoo's networks, each in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (*ZOO, "randwire:0"):
            file = Path(folder) / "figures.json"
            command = [
                sys.executable,
                "-m",
                "chameleon_ray",
                "memory",
                name,
                "--figures",
                str(file),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
            yield json.loads(file.read_text())


def planner_table(planned: list[dict]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for title in ("network", "peak KB", "scheduled", "rewritten", "TVM plans KB", "scheduled"):
        shown.add_column(title, justify="left" if title == "network" else "right")
    shown.add_column("rewritten", justify="right")
    shown.add_column("less", justify="right")
    for body in planned:
        peaks, plans = list(body["peak_bytes"].values()), list(body["planned_bytes"].values())
        cells = [f"{value / 1e3:.0f}" for value in (*peaks, *plans)]
        shown.add_row(body["model"], *cells, f"{plans[0] / plans[2]:.2f}x")
    less = [p["planned_bytes"]["model_order"] / p["planned_bytes"]["rewritten"] for p in planned]
    shown.add_row("geometric mean", *[""] * 6, f"{mean(less):.2f}x", style="bold")
    return shown


if __name__ == "__main__":
    main()
