"""The database: an append-only log of records in Parquet parts; two verbs, ``append`` and ``read``.

Each part is written under a temporary name, fsynced and renamed, so a part is either whole or not
there. Parts are merged once there are many. A part that was merged but not yet deleted repeats
records, which does no harm. A later record of a configuration replaces the earlier one.
"""

import re
from collections.abc import Sequence
from math import inf
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chameleon_ray.atomic_write import write_whole
from chameleon_ray.errors import UserError
from chameleon_ray.record import Record, Status
from chameleon_ray.space import Config

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("target", pa.string()),
        ("device", pa.string()),
        ("config", pa.list_(pa.int32())),
        ("values", pa.string()),
        ("status", pa.string()),
        ("latencies", pa.list_(pa.float64())),
        ("explore_seconds", pa.float64()),
        ("build_seconds", pa.float64()),
        ("run_seconds", pa.float64()),
        ("plan", pa.int32()),
        ("sequence", pa.int64()),
        ("finished", pa.float64()),
        ("error", pa.string()),
        ("resources", pa.string()),
        ("conditions", pa.string()),
        ("origin", pa.string()),
        ("chosen_by", pa.string()),
    ]
)
LATER = ("resources", "conditions", "origin", "chosen_by")
"""Columns that parts of earlier versions do not have."""
PARTS_BEFORE_MERGE = 128
UNFINISHED = re.compile(r"\.(part|merged)-\d+\.parquet\.\d+")
"""Names of files that are being written; see ``write_whole``."""
DAMAGED = ".damaged"
"""Ending that is added to the name of a part that cannot be read."""


class DatabaseError(UserError):
    """A part that cannot be read, in one sentence that says which and what to do."""


class Database:
    """Records of one run, under ``folder`` (made where it is missing)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._parts = len(self._unmerged())
        self._written: dict[str, list[Record]] = {}

    def append(self, records: Sequence[Record]) -> None:
        """Adds records durably: when this returns they survive ``kill -9``.

        Raises:
            OSError: The disk is full or the folder cannot be written; nothing is half written.
        """
        if not records:
            return
        name = f"part-{records[0].sequence:09d}.parquet"
        self._write(list(records), name)
        self._written[name] = list(records)
        self._parts += 1
        if self._parts >= PARTS_BEFORE_MERGE:
            self._merge()

    def read(self) -> list[Record]:
        """Returns the latest record of every configuration tried, in the order of their numbers.

        Raises:
            DatabaseError: A part is damaged or is not one of this project's.
        """
        return read_folder(self.folder)

    def set_aside(self) -> list[str]:
        """Renames parts that cannot be read, so that the others can be; no part is deleted.

        What a process that was killed while it wrote has left is removed.

        Returns:
            A sentence for each part that was renamed.

        Raises:
            DatabaseError: A part cannot be read for a reason that is none of its content's.
            OSError: The folder cannot be written.
        """
        told = []
        for path in self.folder.glob(".*"):
            if UNFINISHED.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)
        for path in self._paths():
            try:
                read_part(path)
            except DatabaseError as error:
                if getattr(error.__cause__, "errno", None):  # it is the system's, not the file's
                    raise
                earlier = len(list(self.folder.glob(f"{path.name}*{DAMAGED}")))
                aside = path.with_name(f"{path.name}-{earlier}{DAMAGED}")
                path.rename(aside)
                told.append(
                    f"{path} cannot be read ({error.__cause__}): it was renamed to {aside.name}, "
                    "and what it held is measured again."
                )
        self._parts = len(self._unmerged())
        return told

    def _paths(self) -> list[Path]:
        return _parts(self.folder)

    def _unmerged(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _merge(self) -> None:
        """Merges all parts since the last merge into one file."""
        parts = self._unmerged()
        known = self._written  # reading so many small files takes longer than all else
        records = [r for path in parts for r in known.get(path.name) or read_part(path)]
        self._write(records, f"merged-{records[-1].sequence:09d}.parquet")
        for path in parts:
            path.unlink()
        self._parts, self._written = 0, {}

    def _write(self, records: list[Record], name: str) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(as_table(records), sink)
        write_whole(self.folder / name, sink.getvalue().to_pybytes())


def read_folder(folder: Path) -> list[Record]:
    """Returns the latest record of every configuration tried, in the order of their numbers.

    Raises:
        DatabaseError: A part is damaged or is not one of this project's.
    """
    latest: dict[tuple[str, Config], Record] = {}
    for record in sorted(
        (record for path in _parts(folder) for record in read_part(path)),
        key=lambda record: record.sequence,
    ):
        latest[record.task, record.config] = record
    return sorted(latest.values(), key=lambda record: record.sequence)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def read_part(path: Path) -> list[Record]:
    """Reads the records of one Parquet file.

    Raises:
        DatabaseError: The file is damaged.
    """
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        return as_records(pq.read_table(path, schema=SCHEMA))
    except (pa.ArrowException, OSError, TypeError, ValueError) as cause:
        raise DatabaseError(
            f"{path} is not a readable part of the records ({cause}); move it away to go on."
        ) from cause


def as_table(records: Sequence[Record]) -> pa.Table:
    """Returns records as rows of ``SCHEMA``."""
    rows = [{name: getattr(record, name) for name in SCHEMA.names} for record in records]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def as_records(table: pa.Table) -> list[Record]:
    """Returns the rows of a table as records; columns of later versions may have no values.

    Raises:
        TypeError, ValueError: A row is no record.
    """
    return [_record(row) for row in table.to_pylist()]


def _record(row: dict) -> Record:
    row["config"], row["latencies"] = tuple(row["config"]), tuple(row["latencies"])
    row["status"] = Status(row["status"])
    if not all(0 <= seconds < inf for seconds in row["latencies"]):
        raise ValueError(f"latencies of {row['latencies']} s")
    for name in LATER:
        row[name] = row[name] or ""
    return Record(**row)
