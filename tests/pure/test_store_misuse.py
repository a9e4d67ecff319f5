"""A sentence for each: what others left in a store, what cannot be written, what is not there."""

import json
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chameleon_ray.api.storage import stored
from chameleon_ray.database import as_table
from chameleon_ray.errors import UserError
from chameleon_ray.store.collection import collect
from chameleon_ray.store.entry import META
from chameleon_ray.store.key import content_digest
from chameleon_ray.store.place import Place
from chameleon_ray.store.store import Store
from tests.pure.store_entries import OPTIONS, entry


def with_bytes(data: bytes) -> tuple[str, bytes]:
    """A file whose name says what its bytes are."""
    key = replace(entry().dumps()[0], content=content_digest(data))
    return key.name, data


def with_meta(**fields: object) -> tuple[str, bytes]:
    table = pq.read_table(pa.BufferReader(entry().dumps()[1]))
    meta = json.loads(table.schema.metadata[META]) | fields
    return written(table.replace_schema_metadata({META: json.dumps(meta).encode()}))


def written(table: pa.Table) -> tuple[str, bytes]:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return with_bytes(sink.getvalue().to_pybytes())


def with_record(**fields: object) -> tuple[str, bytes]:
    table = pq.read_table(pa.BufferReader(entry().dumps()[1]))
    body = as_table([replace(entry().records[1], **fields)])  # type: ignore[arg-type]
    return written(body.replace_schema_metadata(table.schema.metadata))


def with_unpacked(rows: int, text: str) -> tuple[str, bytes]:
    """An entry of a few kB, whose records all have the same long text as their error."""
    table = pq.read_table(pa.BufferReader(entry().dumps()[1]))
    table = pa.concat_tables([table.slice(1, 1)] * rows)
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))
    sink = pa.BufferOutputStream()
    packed = table.set_column(table.schema.get_field_index("error"), "error", texts)
    pq.write_table(packed, sink, compression="zstd", store_schema=False)
    return with_bytes(sink.getvalue().to_pybytes())


MISUSES: dict[str, Callable[[], tuple[str, bytes]]] = {
    "half of it": lambda: with_bytes(entry().dumps()[1][:-400]),
    "other bytes": lambda: (entry().dumps()[0].name, b"x" + entry().dumps()[1][1:]),
    "nothing": lambda: with_bytes(b""),
    "a pickle": lambda: with_bytes(b"\x80\x04c__builtin__\nexec\n(V1\ntR."),
    "another table": lambda: written(pa.table({"a": [1]})),
    "no metadata": lambda: written(as_table(entry().records)),
    "another layer": lambda: with_meta(task="0" * 16),
    "another device": lambda: with_meta(device="other"),
    "a path as name": lambda: with_meta(name="../../etc"),
    "no text": lambda: with_meta(ended=7),
    "a long text": lambda: with_meta(ended="x" * 10_000),
    "versions as list": lambda: with_meta(versions=["a"]),
    "a winner of texts": lambda: with_meta(
        chosen={"config": ["a"], "latency": 1.0, "default_latency": 1.0}
    ),
    "a winner in no time": lambda: with_meta(
        chosen={"config": [], "latency": 0.0, "default_latency": 1.0}
    ),
    "NaN": lambda: with_record(latencies=(float("nan"),)),
    "negative seconds": lambda: with_record(latencies=(-1.0,)),
    "a status without latencies": lambda: with_record(latencies=()),
    "a negative index": lambda: with_record(config=(-7, 0)),
    "knobs that are code": lambda: with_record(values='{"a": {"b": 1}}'),
    "knobs that are no JSON": lambda: with_record(values="__import__('os')"),
    "deep knobs": lambda: with_record(values="[" * 30_000),
    "huge knobs": lambda: with_record(values='{"a": [1e300]}'),
    "an impossible plan": lambda: with_record(plan=-1),
    "a text that unpacks to much": lambda: with_unpacked(100, "x" * 1_000_000),
    "another's record": lambda: with_record(task="1" * 16),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_what_cannot_be_used_is_a_miss_and_a_sentence(misuse: str, tmp_path: Path) -> None:
    told: list[str] = []
    store = Store([Place(str(tmp_path / "store"), 5.0)], OPTIONS, told.append)
    store.publish([entry(seed=1)])
    name, data = MISUSES[misuse]()
    path = tmp_path / "store" / name
    path.write_bytes(data)
    fresh = Store(store.places, OPTIONS, told.append)
    assert fresh.entries(fresh.entry_keys()) == [entry(seed=1)]
    (sentence,) = told
    assert name in sentence
    assert sentence.endswith(". It counts as missing.")
    assert collect(fresh, 9.0).unusable == 1
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_only_read(tmp_path: Path) -> None:
    told = list[str]()
    one = Store([Place(str(tmp_path), 5.0)], OPTIONS, told.append)
    one.publish([entry()])
    there = sorted(tmp_path.rglob("*"))
    one.try_writing()
    assert (told, sorted(tmp_path.rglob("*"))) == ([], there)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        one.try_writing()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert told == [
        f"The store {tmp_path} cannot be written: File too large. "
        "What this command measures is not kept in it."
    ]
    one.publish([entry(seed=1)])
    assert one.entries(one.entry_keys()) == [entry()]
    assert sorted(tmp_path.rglob("*")) == there


def test_layers_are_found_by_name_and_shapes(tmp_path: Path) -> None:
    store = Store([Place(str(tmp_path), 5.0)], OPTIONS, print)
    store.publish([replace(entry(), shape="1x3x224x224, 64x3x7x7")])
    for part in (entry().task[:6], entry().name, "3x224x224", f"{entry().name} (1x3"):
        assert len(stored(store.name, print, part)) == 1
    with pytest.raises(UserError, match=r"has no layer layer4\.1\.conv2; chameleon store ls"):
        stored(store.name, print, "layer4.1.conv2")
