"""What earlier runs can teach: run directories in, what their layers know out."""

from collections.abc import Iterable
from pathlib import Path

from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Search
from chameleon_ray.record import Record
from chameleon_ray.task import kind_of
from chameleon_ray.transfer import Transfer

Layer = tuple[str, list[Record]]
"""A layer's name and its records."""


def layers_of(path: Path) -> list[Layer]:
    """The layers of a run.

    Raises:
        FolderError: The directory holds no run, or another process is working in it.
        DatabaseError: Its records cannot be read.
    """
    folder = RunFolder(path, existing=True)
    try:
        names = (folder.identity() or {}).get("layers", {})
        records = folder.database.read()
    finally:
        folder.close()
    return [(name, [r for r in records if r.task == task]) for task, name in names.items()]


def transfer_of(search: Search, earlier: Iterable[Layer]) -> Transfer | None:
    """What a run's tasks share, beginning with earlier layers; None where they share nothing."""
    if search.transfer is None:
        return None
    transfer = Transfer(search.transfer)
    for name, records in earlier:
        transfer.learn(kind_of(name), records)
    return transfer
