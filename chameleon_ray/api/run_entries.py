"""The entries of a finished or unfinished run: what a store would have got from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon_ray.folder import FolderError, RunFolder
from chameleon_ray.record import DEFAULT, Record, own
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry
from chameleon_ray.store.key import Circumstances


def entries_of(path: Path) -> list[Entry]:
    """Returns an entry for every layer that a run measured itself.

    Raises:
        FolderError: The directory holds no run, or another process is working in it.
        DatabaseError: The records cannot be read.
    """
    folder = RunFolder(path, existing=True)
    try:
        identity, records = folder.identity() or {}, own(folder.database.read())
        winners = _winners(folder)
    finally:
        folder.close()
    by_task: dict[str, list[Record]] = {task: [] for task in identity["layers"]}
    for record in records:
        by_task.get(record.task, []).append(record)
    tried = [mine for mine in by_task.values() if mine]
    seconds = max((record.finished for record in records), default=0.0)
    shares = Effort(seconds / max(len(tried), 1), len(records) / max(len(tried), 1))
    return [
        _entry(identity, task, mine, shares, winners.get(task))
        for task, mine in by_task.items()
        if mine
    ]


def _entry(
    identity: Mapping[str, Any],
    task: str,
    records: list[Record],
    effort: Effort,
    winner: tuple[Config, float] | None,
) -> Entry:
    circumstances = identity.get("circumstances") or {"device": identity["device"], "versions": {}}
    default = min((r.latency for r in records if r.config == DEFAULT), default=float("inf"))
    return Entry(
        name=identity["layers"][task],
        shape="",
        task=task,
        target=identity["target"],
        space=identity["spaces"][task],
        circumstances=Circumstances(**circumstances),
        records=tuple(records),
        effort=effort,
        chosen=None if winner is None else Chosen(winner[0], winner[1], default),
    )


def _winners(folder: RunFolder) -> dict[str, tuple[Config, float]]:
    """Returns the winners of a run; there are none before its end."""
    try:
        return folder.load_winners()
    except FolderError:
        return {}
