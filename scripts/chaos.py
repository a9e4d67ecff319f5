"""Kills at random during a run on recorded devices, then proves that its records are complete.

    python scripts/chaos.py [--seconds 300] [--kills 100] [--copies 3] [--run-seconds 0.2]

A run over three nodes of this machine, each a Ray node of its own, is made twice: undisturbed, and
while actors (builders, runners, explorer, cost model, sampler), one node (another one joins two
seconds later) and twice the driver itself (started again, it goes on) are killed with SIGKILL. The
devices are recorded: a run sleeps for ``--run-seconds`` and answers from a table, so the figures
are of the engine and not of this machine's cores. Every configuration of every table is asked for.

Exit status 0 says that each was recorded exactly once, as the table has it. The last line has the
kills, the measurements, how many were lost, duplicated or wrong, and how much longer the disturbed
run took; the lines before it, how long each actor that was killed was missing: until one like it
was set up.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from chaos_driver import layers, tables
from chaos_nodes import Nodes, until
from chaos_roll import Roll

from chameleon_ray.database import Database, read_part
from chameleon_ray.record import Record

DRIVER = Path(__file__).with_name("chaos_driver.py")
TABLES = ["alexnet-1", "alexnet-4", "vgg-1", "vgg-2", "vgg-4", "resnet-6", "resnet-9", "resnet-11"]
REPLACED_AFTER = 2.0
"""Seconds until a node that was killed is replaced."""


class Driver:
    """The run's process, started again where it was killed."""

    def __init__(self, args: argparse.Namespace, address: str, out: Path) -> None:
        self._log, self._names = out.with_suffix(".log").open("a"), out.with_suffix(".actors")
        shutil.rmtree(self._names, ignore_errors=True)  # those of an earlier run
        options = ("copies", "run_seconds", "runners", "builders", "seed")
        given = [f"--{name.replace('_', '-')}={getattr(args, name)}" for name in options]
        self._command = [sys.executable, str(DRIVER), f"--address={address}", f"--out={out}"]
        self._command += [*given, "--tables", *args.tables]
        self.start()

    def start(self) -> None:
        """A new process; it goes on with what the run's directory holds."""
        self.process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        """Kills the process and starts another one."""
        self.process.kill()
        self.process.wait()
        self.start()

    def name_of(self, actor: int) -> str:
        """Returns the name of the pool of an actor by its process; none before it is set up."""
        file = self._names / str(actor)
        return file.read_text() if file.exists() else ""

    @property
    def running(self) -> bool:
        """Whether the run is under way."""
        return self.process.poll() is None


@dataclass
class Killer:
    """Kills at random moments; keeps count, and watches how long actors are missing."""

    nodes: Nodes
    driver: Driver
    args: argparse.Namespace
    roll: Roll
    kills: Counter = field(default_factory=Counter)

    def plan(self) -> Iterator[tuple[float, str]]:
        """Moments in seconds, and what is killed then."""
        rng, args = random.Random(self.args.seed), self.args
        moments = sorted(rng.uniform(0.02, 0.98) * args.seconds for _ in range(args.kills))
        drivers, node = args.kills // 40, args.kills // 2
        special = {len(moments) * (n + 1) // (drivers + 1): "driver" for n in range(drivers)}
        special[node + 1 if node in special else node] = "node"
        for number, moment in enumerate(moments):
            yield moment, special.get(number, "actor")

    def work(self, rng: random.Random) -> None:
        """All kills, or as many as fit in before the run ends."""
        if not until(lambda: self._there().total() >= sum(self.roll.full.values()), 120.0):
            raise SystemExit(f"of {self.roll.full} only {self._there()} were set up in two minutes")
        began = time.monotonic()
        for moment, what in self.plan():
            while time.monotonic() < began + moment and self.driver.running:
                self._watch()
                time.sleep(0.1)
            if not self.driver.running:
                return
            self._kill(what, rng)
            self._watch()
        while self.driver.running and self.roll.absent:
            self._watch()
            time.sleep(0.1)

    def _watch(self) -> None:
        """Calls the roll now."""
        self.roll.call(self._there(), time.monotonic())

    def _there(self) -> Counter:
        """How many actors of each pool are there, set up."""
        names = [self.driver.name_of(actor) for actor in self.nodes.actors()]
        return Counter(name for name in names if name)

    def _shot(self, rng: random.Random) -> bool:
        """Kills an actor; whether there was one."""
        actors = self.nodes.actors()
        if not actors:
            return False
        with suppress(psutil.NoSuchProcess):
            psutil.Process(rng.choice(actors)).kill()
            return True
        return False

    def _kill(self, what: str, rng: random.Random) -> None:
        if what == "actor":
            if not until(lambda: self._shot(rng), 120.0):
                return
        elif what == "driver":
            self.roll.cause = "more"
            self.driver.kill()
        else:
            self.roll.cause = "more"
            self.nodes.kill(rng.randrange(len(self.nodes.living)))
            self._watch()
            time.sleep(REPLACED_AFTER)
            self.nodes.add()
        self.kills[what] += 1


def made(out: Path) -> tuple[list[Record], int]:
    """The records of a run, and how many configurations it measured and recorded twice."""
    parts = [r for path in sorted(out.glob("records/*.parquet")) for r in read_part(path)]
    times = Counter(key[:2] for key in {(r.task, r.config, r.sequence) for r in parts})
    return Database(out / "records").read(), sum(count - 1 for count in times.values())


def check(args: argparse.Namespace, records: list[Record]) -> tuple[int, int]:
    """Configurations without a record, and records that are not as the table has them."""
    tasks, by_digest = layers(tables(args.tables, args.run_seconds), args.copies)
    found = {(record.task, record.config): record for record in records}
    wanted = {
        (task.digest, tuple(int(choice) for choice in config))
        for task in tasks
        for config in task.space.enumerate()
    }
    wrong = len(found.keys() - wanted)
    for (digest, config), record in found.items():
        table = by_digest[digest]
        row = table.row(config)
        told = record.status, record.latency
        wrong += row is None or told != (table.status[row], table.latency[row])
    return len(wanted - found.keys()), wrong


def run(args: argparse.Namespace, nodes: Nodes, out: Path, disturbed: bool) -> tuple[float, Killer]:
    """One run from the start of its driver to its end: seconds, and who disturbed it."""
    began, driver = time.monotonic(), Driver(args, nodes.address, out)
    alone = dict.fromkeys(("cost model", "explorer", "sampler"), 1)
    spread = {"runner": args.nodes * args.runners, "builder": args.nodes * args.builders}
    killer = Killer(nodes, driver, args, Roll(alone | spread))
    try:
        if disturbed:
            killer.work(random.Random(args.seed + 1))
        if driver.process.wait():
            log = out.with_suffix(".log").read_text()
            raise SystemExit(f"the run failed with status {driver.process.returncode}:\n{log}")
    finally:
        if driver.running:
            driver.process.kill()
    return time.monotonic() - began, killer


def spans(gaps: list[tuple[float, str]]) -> str:
    """How long they were, in words, and the longest of each pool."""
    if not gaps:
        return "never"
    ordered = sorted(gaps)
    (median, _), (most, _) = ordered[len(gaps) // 2], ordered[9 * len(gaps) // 10]
    longest = {pool: seconds for seconds, pool in ordered}
    told = ", ".join(f"{pool} {seconds:.1f} s" for pool, seconds in reversed(longest.items()))
    return f"{median:.1f} s (median), {most:.1f} s (nine of ten), at most {told}"


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="in which all kills happen")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--runners", type=int, default=2, help="on every node")
    parser.add_argument("--builders", type=int, default=1, help="on every node")
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--copies", type=int, default=3, help="of every table, each a layer")
    parser.add_argument("--run-seconds", type=float, default=0.2, help="that every run takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="makes no undisturbed run")
    parser.add_argument("--out", type=Path, help="keeps the runs there")
    return parser.parse_args()


def main() -> None:
    """Both runs, and the proof."""
    args = parsed()
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        nodes = Nodes(args.nodes)
        try:
            calm = 0.0
            if not args.alone:
                calm, _ = run(args, nodes, out / "undisturbed", disturbed=False)
                print(f"undisturbed: {calm:.1f} s", flush=True)
            wild, killer = run(args, nodes, out / "disturbed", disturbed=True)
        finally:
            nodes.close()
        records, duplicated = made(out / "disturbed")
        lost, wrong = check(args, records)
        log = (out / "disturbed.log").read_text()
        print(*re.findall(r"^\d\d:\d\d:\d\d .*", log, re.MULTILINE), sep="\n")
    print(f"disturbed: {wild:.1f} s; killed: {dict(killer.kills)}; an actor was missing for")
    for who, gaps in killer.roll.gaps.items():
        what = "actors alone were killed" if who == "actors" else "the node or the driver was, too"
        print(f"  {spans(gaps)} where {what}")
    print(
        f"kills {killer.kills.total()}, measurements {len(records)}, lost {lost}, "
        f"duplicated {duplicated}, wrong {wrong}"
        + (f", slowdown {wild / calm:.2f}" if calm else "")
    )
    sys.exit(1 if lost or duplicated or wrong or not killer.kills.total() else 0)


if __name__ == "__main__":
    main()
