"""Hubs: stores that installed packages bring, which are read and never written.

A package names a package of its own as an entry point of the group ``chameleon_ray.stores``; the
store is the folder ``store`` in that. Nothing of it is imported.
"""

from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

from chameleon_ray.plugins import entries_of
from chameleon_ray.store.place import Place

FOLDER = "store"
"""Folder of the entries in a hub's package."""


def hubs(patience: float) -> list[Place]:
    """Returns the places of all installed hubs.

    Args:
        patience: Most seconds of each step.
    """
    found = [_folder(entry) for entry in sorted(entries_of("store"), key=lambda one: one.name)]
    return [Place(str(path), patience, read_only=True) for path in found if path is not None]


def _folder(entry: EntryPoint) -> Path | None:
    """Returns the folder of a hub; None where its package is broken."""
    try:
        spec = find_spec(entry.module.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    places = (
        Path(place) / FOLDER for place in (spec.submodule_search_locations or () if spec else ())
    )
    return next((place for place in places if place.is_dir()), None)
