"""The commands on stores: what they hold, garbage collection, and copies of entries."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from chameleon_ray.api.run_entries import entries_of
from chameleon_ray.errors import UserError
from chameleon_ray.options import Storing
from chameleon_ray.run_files import FILES
from chameleon_ray.store.collection import Collected, added, collect, copied
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.store import NONE, Store, open_store

T = TypeVar("T")
Tell = Callable[[str], None]


def opened(name: str | None, tell: Tell) -> Store:
    """Opens the store that a command is about, and no other one in front of it.

    Raises:
        UserError: There is none.
    """
    store = open_store(name, Storing(), tell, cached=False)
    if store is None:
        raise UserError("There is no store, as it is none; give --store a folder or a URL.")
    return store


def _existing(name: str | None, tell: Tell) -> Store:
    """Opens a store that a command reads.

    Raises:
        UserError: There is none, or no such folder; the user's own one need not be there yet.
    """
    if name and "://" not in name and name != NONE and not Path(name).expanduser().exists():
        raise UserError(f"There is no store {name}; check the path.")
    return opened(name, tell)


def stored(name: str | None, tell: Tell, layer: str = "") -> list[Entry]:
    """Returns the entries of a store, or those of layers whose digest begins with ``layer``.

    A part of a layer's name or of its shapes is enough, too.

    Raises:
        UserError: There is no store, it cannot be read, or has no such layer.
    """
    store = _existing(name, tell)
    entries = _answered(store, lambda: store.entries(store.entry_keys()))
    found = [e for e in entries if e.task.startswith(layer) or layer in e.title]
    if layer and not found:
        raise UserError(
            f"The store {store.name} has no layer {layer}; chameleon store ls lists all, by digest "
            "and operators: models share layers, so what a model calls them is not kept."
        )
    return found


def collected(name: str | None, days: float | None, tell: Tell) -> Collected:
    """Removes what is of no use from a store; ``days`` as in ``Storing`` where None.

    Raises:
        UserError: There is no store, or it does not answer.
    """
    store, days = _existing(name, tell), Storing().days if days is None else days
    return _answered(store, lambda: collect(store, days))


def exported(name: str | None, target: str, tell: Tell) -> int:
    """Adds the entries of a store to another one, a folder or a URL; returns their number.

    Raises:
        UserError: A store cannot be opened, or the other one not be written.
    """
    return _demanded(copied, _existing(name, tell), opened(target, tell))


def imported(name: str | None, source: str, tell: Tell) -> int:
    """Adds the entries of another store, or of a run directory, to a store; returns their number.

    Raises:
        UserError: A store or the run cannot be read, or the store not be written.
    """
    store, path = opened(name, tell), Path(source)
    if (path / FILES["run"]).exists():
        return _demanded(added, entries_of(path), store)
    if "://" not in source and not path.is_dir():
        raise UserError(f"{source} is neither a store nor a run directory; check the path.")
    return _demanded(copied, opened(source, tell), store)


def _answered(store: Store, step: Callable[[], T]) -> T:
    """Returns what a step gives, and demands that all places of the store answered.

    Raises:
        UserError: One did not; the store has told which, and why.
    """
    name, places = store.name, len(store.places)
    found = step()
    if len(store.places) < places:
        raise UserError(f"The store {name} could not be used as a whole; check its path or URL.")
    return found


def _demanded(copy: Callable[..., int], source: object, target: Store) -> int:
    """Copies entries, and demands that the source could be read and the target took them.

    Raises:
        UserError: One of them did not answer.
    """
    places = len(target.places)
    if isinstance(source, Store):
        count = _answered(source, lambda: copy(source, target))
    else:
        count = copy(source, target)
    if len(target.places) < places:
        raise UserError(f"Not all entries could be written to {target.name or 'the store'}.")
    return count
