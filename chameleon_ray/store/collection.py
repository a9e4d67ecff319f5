"""Garbage collection and copies: fewer and larger entries, without those that are of no use.

Another process may read and write at the same time: what an entry holds is published in another one
before it is removed, and a reader that misses a file looks for it once more at its next listing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chameleon_ray.store.entry import Entry, EntryError
from chameleon_ray.store.key import Key
from chameleon_ray.store.merging import joined
from chameleon_ray.store.place import STALE, UNFINISHED, entries_below
from chameleon_ray.store.store import Store

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Collected:
    """What a garbage collection did, in numbers of files.

    Attributes:
        merged: Entries that became parts of others.
        old: Entries that were too old.
        unusable: Entries that could not be read.
        unfinished: Files that a writer left before they were whole.
    """

    merged: int
    old: int
    unusable: int
    unfinished: int


def collect(store: Store, days: float) -> Collected:
    """Removes what is old, unusable or unfinished, and merges entries of one layer.

    Args:
        store: The store.
        days: Days since an entry was written after which it is removed.
    """
    unfinished = _remove_unfinished(store)
    keys = store.entry_keys()
    old = [key for key in keys if store.age(key) > days * DAY]
    store.remove(old)
    by_layer: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        if key not in old:
            by_layer[key.layer].append(key)
    merged = 0
    for several in by_layer.values():
        entries = store.entries(several)
        usable = [key for key in several if key not in store.refused]
        if len(entries) == len(usable) > 1 and _small(entries, store):
            merged += _merge(usable, entries, store)
    unusable = list(store.refused)
    store.remove(unusable)
    return Collected(merged, len(old), len(unusable), unfinished)


def copied(source: Store, target: Store) -> int:
    """Adds all usable entries of a store to another one; returns how many it lacked."""
    there = {key.name for key in target.entry_keys()}
    return added(
        source.entries(key for key in source.entry_keys() if key.name not in there), target
    )


def added(entries: Iterable[Entry], target: Store) -> int:
    """Adds entries to a store; returns their number."""
    known = list(entries)
    target.publish(known)
    return len(known)


def _merge(keys: Sequence[Key], entries: Sequence[Entry], store: Store) -> int:
    """Puts one entry in the place of several of a layer; returns how many there are fewer.

    One that could not be read again would be lost: it is not published.
    """
    key, data = joined(entries, store.options).dumps()
    try:
        whole = Entry.loads(key, data, store.options)
    except EntryError:
        return 0
    store.publish([whole])
    parts = [part for part in keys if part != key]
    store.remove(parts)
    return len(parts)


def _small(entries: Sequence[Entry], store: Store) -> bool:
    return sum(len(entry.records) for entry in entries) <= store.options.most_records // 2


def _remove_unfinished(store: Store) -> int:
    count = 0
    for place in store.places:
        names = [n for n in place.names(entries_below()) if f"/{UNFINISHED}" in n]
        stale = [name for name in names if place.age(name) > STALE]
        place.remove(stale)
        count += len(stale)
    return count
