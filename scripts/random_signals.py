"""Sends a random signal at a random moment to runs of a tiny model, and goes on with each.

    python scripts/random_signals.py [--runs 200] [--jobs 1] [--seconds 3600] [--out DIR]

Every fourth run has Ray, the others are without. Each is undisturbed once, for its length; then a
run gets SIGINT, SIGTERM, SIGHUP or SIGKILL, drawn by its number, at a moment drawn uniformly from
that length. Afterwards there must be no process of it, no port, a library that is whole or none,
and records that can be read. Then ``--resume`` must end verified, with all those records kept as
they were, nothing measured twice, and no file left in the temporary directory.

``--out`` keeps a line of JSON for each run; a later call makes those that are missing. With
``--jobs`` several of those with a signal are under way at once; each knows its own processes and
has a temporary directory of its own. The exit status is 1 where anything was wrong.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from chameleon_ray.database import read_part  # noqa: E402
from chameleon_ray.record import Record  # noqa: E402
from tests.hostile.leftovers import files_left  # noqa: E402
from tests.whole.command import SERIAL, Command, measured_twice  # noqa: E402
from tests.whole.command import records as recorded  # noqa: E402
from tests.whole.onnx_net import dense_layers  # noqa: E402

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
OPTIONS = {"ray": ("--explorer", "random", "--trials", "28"), "serial": (*SERIAL, "--trials", "28")}
"""Options of a run by its engine."""
RAY_EVERY = 4
PATIENCE = 240.0
"""Seconds in which any command has to end."""
PROMPT = 30.0
"""Most seconds for a command that was asked to stop, and was nearly at its end, to end as usual."""
T = TypeVar("T")


def engine_of(number: int) -> str:
    """Returns the engine of a run."""
    return "ray" if number % RAY_EVERY == 0 else "serial"


class Trial:
    """One run that is disturbed and gone on with; it collects what is wrong."""

    def __init__(self, number: int, model: Path, folder: Path) -> None:
        self.number, self.model, self.folder = number, model, folder
        self.engine = engine_of(number)
        self.options = OPTIONS[self.engine]
        self.wrong: list[str] = []
        self.temporary = folder / "t"
        self.temporary.mkdir()

    def start(self, *more: str) -> Command:
        """Starts the command, with a temporary directory of its own."""
        arguments = ("tune", str(self.model), *self.options, "--out", str(self.out), *more)
        temporary = {"TMPDIR": str(self.temporary), "RAY_TMPDIR": str(self.temporary)}
        return Command(*arguments, environment=temporary, cwd=self.folder)

    @property
    def out(self) -> Path:
        """The run directory."""
        return self.folder / "run"

    def undisturbed(self) -> float:
        """Returns the seconds that a run takes to its end."""
        began, command = time.monotonic(), self.start()
        code, _, err = command.wait(PATIENCE)
        assert code == 0, err
        return time.monotonic() - began

    def run(self, length: float) -> dict[str, Any]:
        """Disturbs the run and goes on with it; returns what happened."""
        rng = random.Random(self.number)
        moment, what = rng.uniform(0, length), rng.choice(SIGNALS)
        command = self.start()
        time.sleep(moment)
        sent = time.monotonic()
        command.process.send_signal(what)
        code, _, err = command.wait(PATIENCE)
        took = time.monotonic() - sent
        self.demand(not (found := left(command)), f"processes and ports left: {found}")
        self.demand(code in (0, 130, -what), f"status {code}: {err}")
        self.demand(code or took < PROMPT, f"it went on for {took:.0f} s")
        self.demand("Traceback" not in err and "*** SIG" not in err, "a traceback")
        self.demand(self.library_is_whole(), "model.so is torn")
        before = self.records()
        self.go_on(before)
        return {
            "number": self.number,
            "engine": self.engine,
            "signal": what.name,
            "moment": round(moment, 2),
            "ended_after": round(took, 2),
            "status": code,
            "records": len(before),
            "said": err,
            "wrong": self.wrong,
        }

    def go_on(self, before: list[Record]) -> None:
        """Goes on with the run, which must end verified, with the records that it had."""
        command = self.start(*(["--resume"] if (self.out / "run.json").exists() else []))
        code, out, err = command.wait(PATIENCE)
        self.demand(code == 0 and "Verified" in out, f"gone on with, status {code}: {err}")
        self.demand(not (found := left(command)), f"gone on with, left: {found}")
        files = files_left(self.temporary)
        self.demand(not files, f"files left: {files[:5]}")
        after = {(r.task, r.config): r for r in self.records()}
        self.demand(all(after.get((r.task, r.config)) == r for r in before), "records changed")

    def records(self) -> list[Record]:
        """Reads all records, of which none may be of a second measurement and no part torn."""
        for part in sorted((self.out / "records").glob("*.parquet")):
            try:
                read_part(part)
            except Exception as error:
                self.wrong.append(f"torn: {part.name} ({error})")
                return []
        twice = measured_twice(self.out)
        self.demand(not twice, f"{twice} configurations were measured twice")
        return recorded(self.out) if (self.out / "records").exists() else []

    def library_is_whole(self) -> bool:
        """Whether the library is as long as its own header says, or is not there."""
        path = self.out / "model.so"
        if not path.exists():
            return True
        data = path.read_bytes()
        sections = int.from_bytes(data[40:48], "little")
        size, count = (int.from_bytes(data[at : at + 2], "little") for at in (58, 60))
        return data[:4] == b"\x7fELF" and sections + size * count <= len(data)

    def demand(self, true: object, fault: str) -> None:
        """Notes a fault where something is not true."""
        if not true:
            self.wrong.append(fault)


def left(command: Command) -> dict[int, str]:
    """Returns what lives on of a command: its processes, and the ports that they listen on."""
    living = {}
    for pid, line in command.orphans().items():
        try:
            found = psutil.Process(pid).net_connections()
        except (psutil.Error, OSError):
            found = []
        ports = [one.laddr.port for one in found if one.status == psutil.CONN_LISTEN]
        living[pid] = f"{line[:120]} {ports or ''}".strip()
    return living


def tried(number: int, lengths: dict[str, float]) -> dict[str, Any]:
    """Makes one run in a directory of its own; it is disturbed where its engine's length is known.

    Returns:
        What happened, or for a run that was not disturbed, the length of its engine.
    """
    folder = Path(tempfile.mkdtemp(prefix="s-", dir="/tmp"))  # Ray's sockets need short names
    model = Path(dense_layers(folder / "dense.onnx", 64, 192))
    try:
        trial = Trial(number, model, folder)
        if trial.engine not in lengths:
            return {trial.engine: trial.undisturbed()}
        return trial.run(lengths[trial.engine])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kept(
    jobs: int, make: Callable[[T], dict[str, Any] | None], missing: Iterable[T], log: Path
) -> list[dict[str, Any]]:
    """Makes what is missing, several at once, and returns what came of it, but for None.

    Each result is a line of the file as soon as it is there, so that an interruption loses no other
    than those of what is under way.
    """
    lock = Lock()

    def noted(one: T) -> dict[str, Any] | None:
        if (found := make(one)) is not None:
            with lock, log.open("a") as file:
                file.write(json.dumps(found) + "\n")
                print(json.dumps(found), flush=True)
        return found

    with ThreadPoolExecutor(jobs) as pool:
        return [found for found in pool.map(noted, missing) if found is not None]


def main() -> int:
    """Makes as many runs as there is time for, and sums up all that were made so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1, help="runs that are under way at once")
    parser.add_argument("--seconds", type=float, default=1e9, help="starts no run after them")
    parser.add_argument("--out", type=Path, default=Path("random_signals"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # A shell's background jobs ignore SIGINT, nohup SIGHUP, and so would what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    log, known = args.out / "runs.jsonl", args.out / "lengths.json"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    missing = sorted(set(range(args.runs)) - {one["number"] for one in done})
    deadline = time.monotonic() + args.seconds
    lengths = json.loads(known.read_text()) if known.exists() else {}
    for number in range(len(OPTIONS)):  # alone, whatever the jobs
        if engine_of(number) not in lengths:
            lengths |= tried(number, {})
            known.write_text(json.dumps(lengths))

    def made(number: int) -> dict[str, Any] | None:
        return tried(number, lengths) if time.monotonic() < deadline else None

    done += kept(args.jobs, made, missing, log)
    wrong = [one for one in done if one["wrong"]]
    signals = Counter(one["signal"] for one in done)
    print(f"{len(done)} runs, {len(done) - len(wrong)} as they must be; {dict(signals)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
