"""An entry: what one run measured of one layer, as a Parquet file that holds plain data only.

An entry may come from anywhere, so nothing in it is believed: types, lengths and ranges are checked
when it is read, and its configurations against the layer's space before they are used.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chameleon_ray.database import SCHEMA, as_records, as_table
from chameleon_ray.errors import UserError
from chameleon_ray.options import Storing
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.space import Config
from chameleon_ray.store.key import (
    Circumstances,
    Key,
    content_digest,
    kind_folder,
    target_folder,
)
from chameleon_ray.task import kind_of

META = b"chameleon"
"""Key of the file's metadata under which all but the records is kept, as JSON."""
LARGEST = 1 << 31
"""Numbers in configurations and knobs are below this."""
LONGEST = 4096
"""Most characters of a text, and most entries of a configuration."""

MOST_VALUES = 100
"""Most values of all columns per record, on average over the most records that there may be."""


class EntryError(UserError):
    """An entry that cannot be used, in one sentence that says why."""


@dataclass(frozen=True)
class Effort:
    """What a search had for each layer: wall time in seconds, and measurements."""

    seconds: float = 0.0
    trials: float = 0.0


@dataclass(frozen=True)
class Chosen:
    """The winner of a layer, from the final timing.

    Attributes:
        config: Its configuration; empty for the default schedule.
        latency: Its median seconds.
        default_latency: Median seconds of the default schedule; infinite where it is not known.
        disturbed: Share of the final timing in which other processes had its cores.
    """

    config: Config
    latency: float
    default_latency: float
    disturbed: float = 0.0


@dataclass(frozen=True)
class Entry:
    """What one run measured of one layer.

    Attributes:
        name: The layer's fused operators.
        shape: Shapes of its inputs and outputs in words.
        task: Digest of the layer and its target.
        target: TVM target, as JSON.
        space: Digest of its design space.
        circumstances: Device and versions that it was measured with.
        records: Its records.
        ended: Why its search came to its end; empty where more may be found.
        effort: What its search had.
        chosen: Its winner; None where none was chosen.
    """

    name: str
    shape: str
    task: str
    target: str
    space: str
    circumstances: Circumstances
    records: tuple[Record, ...]
    ended: str = ""
    effort: Effort = Effort()
    chosen: Chosen | None = None

    @property
    def title(self) -> str:
        """What people call the layer, and find it by."""
        return f"{self.name} ({self.shape})"

    def dumps(self) -> tuple[Key, bytes]:
        """Returns the entry's bytes and the key that goes with them."""
        meta = {
            "name": self.name,
            "shape": self.shape,
            "task": self.task,
            "target": self.target,
            "space": self.space,
            "device": self.circumstances.device,
            "versions": dict(self.circumstances.versions),
            "ended": self.ended,
            "effort": asdict(self.effort),
            "chosen": _finite_only(self.chosen),
        }
        table = as_table(self.records)
        body = json.dumps(meta, sort_keys=True, allow_nan=False).encode()
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({META: body}), sink)
        data = sink.getvalue().to_pybytes()
        return self.key(content_digest(data)), data

    def key(self, content: str) -> Key:
        """Returns the key of the entry, whose bytes have this digest."""
        folders = target_folder(self.target), kind_folder(kind_of(self.name))
        return Key(*folders, self.task, self.space, self.circumstances.digest, content)

    @staticmethod
    def loads(key: Key, data: bytes, options: Storing) -> "Entry":
        """Reads an entry from its bytes.

        Raises:
            EntryError: They are damaged, another program's, or not what the key says.
        """
        if content_digest(data) != key.content:
            raise EntryError(f"{key.name} is damaged: its name is that of other bytes.")
        try:
            entry = _read(data, options)
        except (pa.ArrowException, OSError) as error:
            raise EntryError(f"{key.name} is damaged: {_first_line(error)}.") from error
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            why = _first_line(error)
            raise EntryError(f"{key.name} is not an entry of a store: {why}.") from error
        if entry.key(key.content) != key:
            raise EntryError(f"{key.name} holds another layer or device than its name says.")
        return entry


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _finite_only(chosen: Chosen | None) -> dict[str, Any] | None:
    if chosen is None or not isfinite(chosen.latency):
        return None
    default = chosen.default_latency if isfinite(chosen.default_latency) else None
    return asdict(chosen) | {"default_latency": default}


def _read(data: bytes, options: Storing) -> Entry:
    """Reads an entry, and checks types and ranges; see ``Entry.loads`` for what is raised."""
    table, body = _unpacked(data, options)
    meta = json.loads(body)
    chosen, effort = meta["chosen"], meta["effort"]
    entry = Entry(
        **{name: _text(meta[name]) for name in ("name", "shape", "task", "target", "space")},
        circumstances=Circumstances(
            _text(meta["device"]), {_text(k): _text(v) for k, v in meta["versions"].items()}
        ),
        records=tuple(as_records(table)),
        ended=_text(meta["ended"]),
        effort=Effort(_seconds(effort["seconds"]), _seconds(effort["trials"])),
        chosen=None if chosen is None else _chosen(chosen),
    )
    for record in entry.records:
        _demand(record, entry)
    return entry


def _unpacked(data: bytes, options: Storing) -> tuple[pa.Table, bytes]:
    """Returns an entry's table and metadata; few bytes that stand for very many are refused.

    Texts stay dictionaries and so as small as they are in the file.
    """
    if len(data) > options.most_bytes:
        raise ValueError(f"it has {len(data)} bytes")
    texts = [field.name for field in SCHEMA if field.type == pa.string()]
    file = pq.ParquetFile(pa.BufferReader(data))
    if file.metadata.num_rows > options.most_records:
        raise ValueError(f"it has {file.metadata.num_rows} records")
    if file.schema_arrow.remove_metadata() != SCHEMA:
        raise ValueError("it has other columns")
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    if sum(column.total_uncompressed_size for column in columns) > 8 * options.most_bytes:
        raise ValueError("it is too large once unpacked")
    if sum(column.num_values for column in columns) > MOST_VALUES * options.most_records:
        raise ValueError("it has too many values")
    table = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts).read()
    for name in texts:
        chunks = [(pc.binary_length(part.dictionary), part.indices) for part in table[name].chunks]
        if sum(pc.sum(sizes.take(own)).as_py() or 0 for sizes, own in chunks) > options.most_text:
            raise ValueError(f"its column {name} is too large once unpacked")
    return table, (file.schema_arrow.metadata or {})[META]


def _chosen(body: Mapping[str, Any]) -> Chosen:
    config, latency = _config(body["config"]), _seconds(body["latency"])
    default = inf if body["default_latency"] is None else _seconds(body["default_latency"])
    if not (latency > 0 and default > 0):
        raise ValueError("a winner's latency is 0")
    disturbed = _seconds(body.get("disturbed", 0.0))  # which earlier versions do not tell
    return Chosen(config, latency, default, min(disturbed, 1.0))


def _demand(record: Record, entry: Entry) -> None:
    """Demands that a record is the layer's, and that its numbers can be true."""
    if (record.task, record.target) != (entry.task, entry.target):
        raise ValueError("a record is another layer's")
    _config(record.config)
    latencies = record.latencies
    if bool(latencies) != (record.status == "ok"):
        raise ValueError("a record's status and latencies disagree")
    if not all(_seconds(latency) > 0 for latency in latencies):
        raise ValueError("a latency is 0")
    for seconds in (record.explore_seconds, record.build_seconds, record.run_seconds):
        _seconds(seconds)
    if record.config != DEFAULT:
        demand_values(record.values)
    if not 0 <= record.disturbed <= 1:
        raise ValueError("a record's conditions are impossible")
    if not 0 <= record.plan < LARGEST or record.origin:
        raise ValueError("a record has an impossible plan, or was not measured by its run")


def demand_values(text: str) -> None:
    """Demands that a record's knob values are JSON of numbers, texts and lists of numbers.

    Raises:
        ValueError: They are not.
    """
    if len(text) > LONGEST * 16:
        raise ValueError("a record's knobs are too long")
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("a record's knobs are no mapping")
    for value in values.values():
        for part in value if isinstance(value, list) else [value]:
            number = isinstance(part, int | float) and not isinstance(part, bool)
            if not isinstance(part, str) and not (number and abs(part) < LARGEST):
                raise ValueError("a record's knob has an impossible value")


def _config(config: Any) -> Config:
    plain = isinstance(config, list | tuple) and len(config) <= LONGEST
    if not plain or not all(type(n) is int and -1 <= n < LARGEST for n in config):
        raise ValueError("a configuration is impossible")
    return tuple(config)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError("a text is missing or too long")
    return value


def _seconds(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 <= float(value) < LARGEST:
        raise ValueError(f"a number is impossible: {value!r}"[:80])
    return float(value)
