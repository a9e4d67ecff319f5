"""Kills two writers of one store at random, then counts what was lost and what is torn.

    python scripts/chaos_store.py FOLDER [--kills 100] [--seed 0]

Two processes add entries to the store in FOLDER, and every now and then collect its garbage. Each
notes in a file of its own what it has added. Each is killed with SIGKILL at a random moment and
started again. At the end every record that was noted must be in the store, and every file whole.

Exit status 0 says that nothing was lost and nothing is torn. The last line has the figures.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from chameleon_ray.options import Storing
from chameleon_ray.record import Record, Status
from chameleon_ray.store.collection import collect
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.key import Circumstances
from chameleon_ray.store.place import Place
from chameleon_ray.store.store import Store

LAYERS = 3
"""Number of layers that entries are of, so that entries of one layer are merged."""
COLLECT = 7
"""Number of additions between two garbage collections of a writer."""
PAUSES = 0.05, 0.4
"""Least and most seconds after a writer's first addition until it is killed."""


def entry(number: int) -> Entry:
    """An entry of one record, which has this number."""
    task = f"{number % LAYERS:016x}"
    record = Record(task, "llvm", "cpu", (number,), "{}", Status.OK, (1e-3,), sequence=number)
    return Entry("fused_conv2d", "", task, "llvm", "0" * 16, Circumstances("cpu"), (record,))


def opened(folder: Path) -> Store:
    """The store, which prints what it has to say."""
    return Store([Place(str(folder / "store"), 60.0)], Storing(), print)


def write(folder: Path, writer: int) -> None:
    """Adds entries until it is killed, and notes each that is added."""
    store, notes = opened(folder), folder / f"noted-{writer}"
    count = len(notes.read_text().split()) if notes.exists() else 0
    with notes.open("a") as sink:
        while True:
            number = 2 * random.randrange(1 << 29) + writer
            store.publish([entry(number)])
            sink.write(f"{number}\n")
            sink.flush()
            os.fsync(sink.fileno())
            count += 1
            if count % COLLECT == 0:
                collect(store, 1.0)


def started(folder: Path, writer: int) -> subprocess.Popen:
    command = [sys.executable, __file__, str(folder), "--writer", str(writer)]
    return subprocess.Popen(command)


def disturb(folder: Path, kills: int, seed: int) -> None:
    """Runs two writers and kills them, in turns, once each has added something."""
    rng = random.Random(seed)
    writers = [started(folder, writer) for writer in range(2)]
    try:
        for kill in range(kills):
            which, notes = kill % 2, folder / f"noted-{kill % 2}"
            before, deadline = size(notes), time.monotonic() + 30
            while size(notes) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rng.uniform(*PAUSES))
            writers[which].kill()
            writers[which].wait()
            writers[which] = started(folder, which)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--writer", type=int)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.writer is not None:
        write(args.folder, args.writer)
    disturb(args.folder, args.kills, args.seed)
    noted = {
        int(line)
        for file in args.folder.glob("noted-*")
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")  # the last one may have been cut off
    }
    store = opened(args.folder)
    keys = store.entry_keys()
    found = {record.sequence for one in store.entries(keys) for record in one.records}
    lost, torn = len(noted - found), len(store.refused)
    print(
        f"{args.kills} kills, {len(noted)} entries added, {len(keys)} files, "
        f"{lost} lost, {torn} torn"
    )
    sys.exit(bool(lost or torn or not noted))


if __name__ == "__main__":
    main()
