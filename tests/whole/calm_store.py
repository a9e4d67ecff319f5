"""A store as of a quiet machine: what else had the cores, while tests measured, is not in it."""

from dataclasses import replace
from pathlib import Path

from chameleon_ray.api.run_entries import entries_of
from chameleon_ray.options import Storing
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.place import Place
from chameleon_ray.store.store import Store


def opened(path: Path) -> Store:
    return Store([Place(str(path), 10.0)], Storing(), lambda sentence: None)


def calmed(path: Path) -> None:
    """Takes the marks of disturbances out of a store."""
    store = opened(path)
    keys = store.entry_keys()
    entries = store.entries(keys)
    store.remove(keys)
    store.publish(calm(entry) for entry in entries)


def calm(entry: Entry) -> Entry:
    return replace(entry, records=tuple(replace(r, conditions="") for r in entry.records))


def store_of(run: Path, path: Path) -> Path:
    """Makes a store of what a run measured."""
    opened(path).publish(calm(entry) for entry in entries_of(run))
    return path
