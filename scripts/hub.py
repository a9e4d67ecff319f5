"""Makes the hub's store of what other stores and runs have, and checks it.

    python scripts/hub.py make SOURCE... [--hub hub] [--records 48]
    python scripts/hub.py check [--hub hub]
    pip wheel --no-deps --wheel-dir dist hub/

SOURCE is a store, a folder or URL, or a run directory. Of every layer that was measured with this
very version, on this or other devices, the hub keeps its winner and so many records: the default
schedule's, the best one, and those that teach most. Its search counts as ended, so that who has the
hub need not search. What the hub had before is replaced. ``check``
demands that every entry can be read and is of this version, and that they have ``--most`` MB.

The zoo's models are tuned for it on each kind of machine, into one store that is its source then:

    PYTHONPATH=scripts chameleon zoo hub/zoo.yaml --minutes 20 --store runs/hub-store --out runs/hub
    python scripts/hub.py make runs/hub-store
"""

import argparse
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from chameleon_ray.api.run_entries import entries_of
from chameleon_ray.api.session_model import circumstances_of
from chameleon_ray.folder import FILES
from chameleon_ray.options import Storing
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.hub import FOLDER
from chameleon_ray.store.merging import joined
from chameleon_ray.store.place import Place
from chameleon_ray.store.store import Store
from chameleon_ray.transfer import instructive

PACKAGE = "chameleon_ray_hub"
ENDED = "searched for the hub"


def main() -> None:
    """Makes or checks; exit status 1 where the hub cannot be used."""
    arguments = parse()
    folder = arguments.hub / PACKAGE / FOLDER
    if arguments.command == "make":
        print(made(arguments.sources, folder, arguments.records))
    faults = checked(folder, arguments.most * 1e6)
    print("\n".join(faults) or f"{folder}: {len(opened(folder).entry_keys())} entries, all right")
    sys.exit(bool(faults))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--hub", type=Path, default=Path("hub"), help="folder of the hub")
    parser.add_argument("--most", type=float, default=5.0, help="most MB of all entries; 5")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="replace the hub's store")
    make.add_argument("sources", nargs="+", metavar="SOURCE", help="a store, or a run directory")
    make.add_argument("--records", type=int, default=48, help="most records of a layer; 48")
    commands.add_parser("check", help="check the hub's store")
    return parser.parse_args()


def made(sources: Iterable[str], folder: Path, count: int) -> str:
    """Replaces the store in a folder by what sources have of this version; returns what it did."""
    entries = [entry for source in sources for entry in entries_from(source)]
    layers = defaultdict(list)
    for entry in entries:
        if current(entry):
            layers[entry.task, entry.space, entry.circumstances.digest].append(entry)
    shutil.rmtree(folder, ignore_errors=True)
    size = opened(folder).publish(
        shortened(joined(own, Storing()), count) for own in layers.values()
    )
    left = len(entries) - sum(map(len, layers.values()))
    return f"{len(layers)} layers, {size / 1e6:.2f} MB; {left} entries of other versions left out"


def entries_from(source: str) -> list[Entry]:
    """Returns the entries of a store or of a run."""
    if any((Path(source) / name).exists() for name in FILES.values()):
        return entries_of(Path(source))
    store = Store([Place(source, 60.0)], Storing(), print)
    return store.entries(store.entry_keys())


def current(entry: Entry) -> bool:
    """Whether an entry was measured with the versions that are installed here."""
    now = circumstances_of(entry.circumstances.device, entry.target).versions
    before = entry.circumstances.versions
    return {**before, "driver": ""} == {**now, "driver": ""}


def shortened(entry: Entry, count: int) -> Entry:
    """Leaves the records of an entry that are of use, and ends its search if anything ran."""
    won = entry.chosen.config if entry.chosen else None
    first = [record for record in entry.records if record.config in (DEFAULT, won)]
    rest = [record for record in entry.records if record.config not in (DEFAULT, won)]
    chosen = instructive(rest, max(count - len(first), 0), np.random.default_rng(0))
    records = tuple(map(plain, dict.fromkeys((*first, *chosen))))
    ran = any(record.latencies for record in entry.records)
    return replace(entry, records=records, ended=entry.ended or (ENDED if ran else ""))


def plain(record: Record) -> Record:
    """Leaves out what tells of the machine and not of the layer."""
    return replace(record, explore_seconds=0.0, build_seconds=0.0, run_seconds=0.0, error="")


def checked(folder: Path, most: float) -> list[str]:
    """Returns what is wrong with a hub's store, in sentences."""
    faults = list[str]()
    store = Store([Place(str(folder), 60.0)], Storing(), faults.append)
    entries = store.entries(store.entry_keys())
    faults += [f"{entry.name} is of another version." for entry in entries if not current(entry)]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > most:
        faults.append(f"{folder} has {size / 1e6:.2f} MB, and {most / 1e6:.2f} are allowed.")
    return faults


def opened(folder: Path) -> Store:
    return Store([Place(str(folder), 60.0)], Storing(), print)


if __name__ == "__main__":
    main()
