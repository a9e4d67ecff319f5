"""The entries of a finished or unfinished run: what a store would have got from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon_ray.folder import RunFolder
from chameleon_ray.record import DEFAULT, Record, own
from chameleon_ray.run_files import FolderError
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry
from chameleon_ray.store.key import Circumstances


def entries_of(path: Path, stored: bool = False) -> list[Entry]:
    """Returns an entry for every layer that a run measured itself.

    Args:
        path: The run directory.
        stored: Whether what the run had from a store counts, too.

    Raises:
        FolderError: The directory holds no run, or another process is working in it.
        DatabaseError: The records cannot be read.
    """
    folder = RunFolder(path, existing=True)
    try:
        identity, found = folder.identity() or {}, folder.database.read()
        records = found if stored else own(found)
        winners = _winners(folder)
    finally:
        folder.close()
    if not isinstance(identity.get("layers"), dict):
        raise FolderError(f"{path} does not tell the names of its layers; it cannot be used.")
    by_task: dict[str, list[Record]] = {task: [] for task in identity["layers"]}
    for record in records:
        by_task.get(record.task, []).append(record)
    tried = [mine for mine in by_task.values() if mine]
    seconds = max((record.finished for record in records), default=0.0)
    shares = Effort(seconds / max(len(tried), 1), len(records) / max(len(tried), 1))
    return [
        _entry(identity, task, mine, shares, winners.get(task))
        for task, mine in by_task.items()
        if mine and task in identity["spaces"]
    ]


def _entry(
    identity: Mapping[str, Any],
    task: str,
    records: list[Record],
    effort: Effort,
    winner: tuple[Config, float] | None,
) -> Entry:
    """Returns a layer's entry; its winner was disturbed as far as its records were."""
    default = min((r.latency for r in records if r.config == DEFAULT), default=float("inf"))
    found = [r.disturbed for r in records if winner is not None and r.config == winner[0]]
    return Entry(
        name=str(identity["layers"][task]),
        shape="",
        task=task,
        target=identity["target"],
        space=str(identity["spaces"][task]),
        circumstances=_circumstances(identity),
        records=tuple(records),
        effort=effort,
        chosen=None if winner is None else Chosen(*winner, default, min(found, default=1.0)),
    )


def _circumstances(identity: Mapping[str, Any]) -> Circumstances:
    """Returns a run's circumstances; runs of earlier versions do not tell any versions."""
    known = identity.get("circumstances")
    if not isinstance(known, dict) or not isinstance(known.get("versions"), dict):
        return Circumstances(str(identity["device"]))
    versions = {str(name): str(version) for name, version in known["versions"].items()}
    return Circumstances(str(known.get("device")), versions)


def _winners(folder: RunFolder) -> dict[str, tuple[Config, float]]:
    """Returns the winners of a run; there are none before its end."""
    try:
        return folder.load_winners()
    except FolderError:
        return {}
