"""Warm starts: reads what the layers of earlier runs can teach."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Search
from chameleon_ray.record import Record
from chameleon_ray.task import kind_of
from chameleon_ray.transfer import Transfer

UNTAUGHT = "This preset learns nothing from others; leave out --warm-start."
Layer = tuple[str, list[Record]]
"""The name of a layer and its records."""


def layers_of(path: Path) -> list[Layer]:
    """Returns the layers of a run.

    Raises:
        FolderError: The directory holds no run, or another process is working in it.
        DatabaseError: The records cannot be read.
    """
    folder = RunFolder(path, existing=True)
    try:
        names = (folder.identity() or {})["layers"]
        records = folder.database.read()
    finally:
        folder.close()
    # Under a name of their own: the same layer of another run is another task.
    return [
        (name, [replace(r, task=f"{path}:{task}") for r in records if r.task == task])
        for task, name in names.items()
    ]


def transfer_of(search: Search, runs: Iterable[Path]) -> Transfer | None:
    """Makes the knowledge that a run's tasks share, beginning with that of earlier runs.

    The result is None where the tasks share nothing.

    Raises:
        UserError: There are earlier runs, and the search system learns nothing from others.
        FolderError, DatabaseError: One of the earlier runs cannot be read.
    """
    earlier = [layer for path in runs for layer in layers_of(path)]
    if search.transfer is None:
        if earlier:
            raise UserError(UNTAUGHT)
        return None
    transfer = Transfer(search.transfer)
    for name, records in earlier:
        transfer.learn(kind_of(name), records)
    return transfer
