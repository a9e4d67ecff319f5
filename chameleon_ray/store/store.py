"""The store: entries in one or several places, near ones first; it is read and written through.

Whatever goes wrong with a place or an entry is a sentence, never an error: a place that does not
answer is left alone from then on, and an entry that cannot be used counts as missing.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from chameleon_ray.options import Storing
from chameleon_ray.store.entry import Entry, EntryError
from chameleon_ray.store.hub import hubs
from chameleon_ray.store.key import Key
from chameleon_ray.store.merging import uncovered
from chameleon_ray.store.place import Place, PlaceError, default_folder, entries_below

T = TypeVar("T")
NONE = "none"
"""Name of no store at all."""
VARIABLE = "CHAMELEON_STORE"
"""Environment variable that names the store where the command line does not."""
TOLD = 5
"""Most entries that cannot be used of which each is told."""


class Store:
    """Entries in some places.

    Attributes:
        places: Places that work, near ones first; entries are written to all of them but those
            that are only read.
        options: Settings of reading and writing.
        tell: Called with a sentence for people.
        refused: Keys of entries that could not be used.
        installed: Digests of the layers of which an installed hub gave an entry.
    """

    def __init__(
        self, places: Sequence[Place], options: Storing, tell: Callable[[str], None]
    ) -> None:
        self.places, self.options, self.tell = list(places), options, tell
        self._there: dict[str, set[str]] = defaultdict(set)
        self._huge: dict[str, set[str]] = defaultdict(set)
        self.refused: list[Key] = []
        self.installed: set[str] = set()
        self._told, self._unwritable, self._strange = 0, set[str](), set[str]()

    @property
    def name(self) -> str:
        """Names of the places that are written, for people."""
        return ", ".join(place.name for place in self.writable)

    @property
    def writable(self) -> list[Place]:
        """Places that are written, near ones first."""
        kept_out = self._unwritable
        return [p for p in self.places if not p.read_only and p.name not in kept_out]

    def entry_keys(self, target: str = "") -> list[Key]:
        """Returns the keys of all entries for a target, or of all entries.

        Args:
            target: Folder of the target, as ``target_folder`` names it.
        """
        found: dict[str, Key] = {}
        for place in list(self.places):
            names = self._attempt(place, partial(place.names, entries_below(target)))
            strange = []
            for name, size in sorted((names or {}).items()):
                if key := Key.parse(name):
                    if size > self.options.most_bytes:
                        self._huge[name].add(place.name)
                    found[name] = key
                    self._there[name].add(place.name)
                elif not name.rpartition("/")[2].startswith("."):
                    strange.append(name)
            if strange and place.name not in self._strange:
                self._strange.add(place.name)
                self.tell(
                    f"The store {place.name} has {len(strange)} files that are no entries, such as "
                    f"{strange[0]}; they are left alone."
                )
        return [found[name] for name in sorted(found)]

    def entries(self, keys: Iterable[Key]) -> list[Entry]:
        """Returns the entries with these keys; those that cannot be used are left out.

        What only a far place has is kept in the near ones, too, unless that is a hub.
        """
        return list(self._by_key(keys).values())

    def _by_key(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        missing = {key.name: key for key in keys if key not in self.refused}
        found, damage = dict[Key, Entry](), dict[str, str]()
        for place in list(self.places):
            names = [name for name in missing if place.name in self._there[name]]
            for name in [name for name in names if place.name in self._huge[name]]:
                damage[name] = f"{name} is larger than an entry may be."
                names.remove(name)
            content = self._attempt(place, partial(place.read, names))
            for name, data in (content or {}).items():
                key = missing[name]
                try:
                    found[key] = Entry.loads(key, data, self.options)
                except EntryError as error:
                    damage[name] = str(error)
                    self._there[name].discard(place.name)  # another place's copy takes its place
                else:
                    if place.read_only:
                        self.installed.add(key.task)
                    else:
                        self._write({name: data}, self.places[: self.places.index(place)])
                    del missing[name]
        for name in damage.keys() & missing.keys():
            self._there[name] |= {place.name for place in self.places}
            self._refuse_key(missing[name], damage[name])
        return found

    def publish(self, entries: Iterable[Entry]) -> int:
        """Adds entries to all places; returns how many bytes they have."""
        content = {key.name: data for key, data in (entry.dumps() for entry in entries)}
        self._write(content, self.places)
        return sum(map(len, content.values()))

    def try_writing(self) -> None:
        """Says which folders of this machine cannot be written, and only reads them from then on.

        Other places are not tried, as who may add files may not remove them there.
        """
        for place in self.writable:
            try:
                if place.local:
                    place.try_writing()
            except PlaceError as error:
                if isinstance(error.__cause__, OSError):  # one that is slow may answer at the end
                    self.tell(f"{error} What this command measures is not kept in it.")
                    self._unwritable.add(place.name)

    def keeps(self, keys: Iterable[Key]) -> bool:
        """Tells whether a place that is written has one of these entries."""
        names = {place.name for place in self.writable}
        return any(names & self._there[key.name] for key in keys)

    def level(self, keys: Iterable[Key]) -> None:
        """Adds what some place has of these entries to the places that lack it.

        What a merged entry says, too, is not added: another process removed its parts there.
        """
        names = {place.name for place in self.writable}
        by_layer: dict[str, list[Key]] = defaultdict(list)
        for key in keys:
            if names & self._there[key.name]:
                by_layer[key.layer].append(key)
        for several in by_layer.values():
            lacking = [key for key in several if not names <= self._there[key.name]]
            found = self._by_key(several) if lacking else {}
            left = uncovered(found.values(), self.options)
            self.publish(found[key] for key in lacking if found.get(key) in left)

    def remove(self, keys: Iterable[Key]) -> None:
        """Removes entries from all places."""
        names = [key.name for key in keys]
        for place in self.writable:
            own = [name for name in names if place.name in self._there[name]]
            self._attempt(place, partial(place.remove, own))
            for name in own:
                self._there[name].discard(place.name)

    def age(self, key: Key) -> float:
        """Returns the seconds since an entry was last written; 0 where that is not known."""
        own = [place for place in self.places if place.name in self._there[key.name]]
        ages = [self._attempt(place, partial(place.age, key.name)) for place in own]
        return min((age or 0.0 for age in ages), default=0.0)

    def refuse(self, sentence: str) -> None:
        """Tells of an entry that cannot be used; of many, some are told."""
        self._told += 1
        if self._told <= TOLD:
            self.tell(f"{sentence} It counts as missing.")
        elif self._told == TOLD + 1:
            self.tell("More entries of the store cannot be used; chameleon store gc removes them.")

    def _refuse_key(self, key: Key, sentence: str) -> None:
        if key not in self.refused:
            self.refused.append(key)
            self.refuse(sentence)

    def _write(self, content: dict[str, bytes], places: Sequence[Place]) -> None:
        for place in list(places):
            for name, data in content.items():
                if place.name in self._there[name] or place not in self.writable:
                    continue
                self._attempt(place, partial(place.write, name, data))
                self._there[name].add(place.name)

    def _attempt(self, place: Place, step: Callable[[], T]) -> T | None:
        """Returns what a step gives; a place that fails is left alone from then on."""
        try:
            return step()
        except PlaceError as error:
            self.tell(f"{error} It is left alone from here on.")
            self.places.remove(place)
            return None


def open_store(
    name: str | None,
    options: Storing,
    tell: Callable[[str], None] = lambda sentence: None,
    installed: bool = False,
    cached: bool = True,
) -> Store | None:
    """Opens a store.

    Args:
        name: A folder, a URL, ``none``, or None for what the environment names, else the folder in
            the user's cache directory.
        options: Settings of reading and writing.
        tell: Called with a sentence for people.
        installed: Whether hubs that are installed are read, too.
        cached: Whether the folder in the user's cache directory is in front of a URL that is
            neither ``file://`` nor ``memory://``.

    Raises:
        PlaceError: There is no such protocol.
    """
    name = name or os.environ.get(VARIABLE) or default_folder()
    if name == NONE:
        return None
    place = Place(name, options.patience)
    places = [place]
    if cached and not (place.local or place.fleeting):
        places.insert(0, Place(default_folder(), options.patience))
    return Store([*places, *(hubs(options.patience) if installed else ())], options, tell)
