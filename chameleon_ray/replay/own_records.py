"""Reads this project's own records of one task.

They come from a run directory, from its ``records`` or from one Parquet file.
"""

import json
from collections import Counter
from pathlib import Path

from chameleon_ray.database import DatabaseError, read_part
from chameleon_ray.record import Record
from chameleon_ray.replay.recording import Entry, Recording, TableError, choice_of
from chameleon_ray.vendor import is_searched

MAGIC = b"PAR1"
"""First bytes of a Parquet file."""


def recording(path: Path, task: str | None) -> Recording:
    """Reads the records of one task's space, without the default schedule's and a vendor's.

    Args:
        path: A directory or a file.
        task: The task's digest; may be left out where there is one task only.

    Raises:
        TableError: There are no records, they cannot be read, or the choice of a task is not clear.
    """
    records = [record for record in _records(path) if is_searched(record.config)]
    layers, counts = _layers(path), Counter(record.task for record in records)
    known = ", ".join(
        f"{digest} ({layers.get(digest, 'layer unknown')}, {count} records)"
        for digest, count in counts.items()
    )
    if not counts:
        raise TableError("holds no records of configurations.")
    if task is None and len(counts) > 1:
        raise TableError(f"holds records of {len(counts)} tasks; choose one with --task: {known}.")
    if task is not None and task not in counts:
        raise TableError(f"has no task {task}; choose one of: {known}.")
    task = task or next(iter(counts))
    chosen = [record for record in records if record.task == task]
    return Recording(
        [_entry(record) for record in chosen],
        device=chosen[-1].device,
        layer=layers.get(task, task if len(counts) > 1 else ""),
    )


def _records(path: Path) -> list[Record]:
    """Reads all records, in the order in which they were made."""
    paths = [path]
    if path.is_dir():
        folder = path / "records" if (path / "records").is_dir() else path
        paths = sorted(folder.glob("*.parquet"))
    try:
        records = [record for part in paths for record in read_part(part)]
    except DatabaseError as error:
        raise TableError(f"cannot be read: {error}") from error
    return sorted(records, key=lambda record: record.sequence)


def _layers(path: Path) -> dict[str, str]:
    """Returns the tasks' names by digest, where a run directory has them."""
    try:
        return dict(json.loads((path / "run.json").read_text())["layers"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _entry(record: Record) -> Entry:
    try:
        values, latency = json.loads(record.values).items(), record.latency
    except (ValueError, AttributeError) as error:
        raise TableError(f"has a damaged record, number {record.sequence}.") from error
    return Entry(
        values={name: choice_of(value) for name, value in values},
        status=record.status,
        latency=latency,
        build_seconds=record.build_seconds,
        run_seconds=record.run_seconds,
        error=record.error,
    )
