"""The append-only log: what is appended is read, once, whatever happens in between."""

import dataclasses
import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chameleon_ray import database as log
from chameleon_ray.database import Database, DatabaseError
from chameleon_ray.record import Record, Status


def record(sequence: int, **changes) -> Record:
    good = Record(
        task="t",
        target="{}",
        device="cpu",
        config=(sequence, 1),
        values='{"tile": [1, 2]}',
        status=Status.OK,
        latencies=(0.25, 0.5),
        explore_seconds=0.1,
        build_seconds=0.2,
        run_seconds=0.3,
        plan=2,
        sequence=sequence,
        finished=4.5,
    )
    return dataclasses.replace(good, **changes)


def test_the_schema_is_the_record():
    assert [field.name for field in dataclasses.fields(Record)] == log.SCHEMA.names


def test_records_come_back_as_they_were(tmp_path):
    failed = record(1, status=Status.BUILD_TIMEOUT, latencies=(), error="stopped after 3 s")
    default = record(2, config=())
    Database(tmp_path).append([record(0), failed])
    Database(tmp_path).append([default])
    assert Database(tmp_path).read() == [record(0), failed, default]


def test_parts_of_versions_before_gpus_are_read(tmp_path):
    table = pa.Table.from_pylist([dataclasses.asdict(record(0))], schema=log.SCHEMA)
    pq.write_table(table.drop_columns(list(log.LATER)), tmp_path / "part-0.parquet")
    assert Database(tmp_path).read() == [record(0)]


def test_what_a_gpu_adds_comes_back(tmp_path):
    timed = record(0, resources='{"registers": 32}', conditions='{"celsius": 40}')
    Database(tmp_path).append([timed])
    assert Database(tmp_path).read() == [timed]


def test_a_later_record_of_a_configuration_replaces_the_earlier(tmp_path):
    database = Database(tmp_path)
    database.append([record(0), record(1)])
    wrong = record(2, config=(0, 1), status=Status.WRONG_ANSWER, latencies=())
    database.append([wrong])
    assert database.read() == [record(1), wrong]


def test_parts_are_merged_and_nothing_is_lost(tmp_path):
    database = Database(tmp_path)
    records = [record(n) for n in range(2 * log.PARTS_BEFORE_MERGE + 5)]
    for one in records:
        database.append([one])
    assert database.read() == records
    assert len(list(tmp_path.iterdir())) < log.PARTS_BEFORE_MERGE


def test_a_merge_that_was_killed_half_way_repeats_nothing(tmp_path, monkeypatch):
    database = Database(tmp_path)
    monkeypatch.setattr(type(tmp_path), "unlink", lambda self, missing_ok=False: None)
    records = [record(n) for n in range(log.PARTS_BEFORE_MERGE)]
    for one in records:
        database.append([one])
    assert len(list(tmp_path.glob("part*"))) == log.PARTS_BEFORE_MERGE
    assert Database(tmp_path).read() == records


def test_a_leftover_of_a_killed_write_is_ignored(tmp_path):
    database = Database(tmp_path)
    database.append([record(0)])
    (tmp_path / ".part-000000001.parquet.4711").write_bytes(b"PAR1 half")
    assert Database(tmp_path).read() == [record(0)]
    assert Database(tmp_path).set_aside() == []  # once a run goes on
    assert [path.name for path in tmp_path.iterdir()] == ["part-000000000.parquet"]


def test_a_damaged_part_is_named(tmp_path):
    database = Database(tmp_path)
    database.append([record(0)])
    (tmp_path / "part-000000007.parquet").write_bytes(b"not parquet")
    with pytest.raises(DatabaseError, match="part-000000007"):
        database.read()


def test_damaged_parts_are_set_aside_and_the_others_are_read(tmp_path):
    database = Database(tmp_path)
    database.append([record(0)])
    database.append([record(3)])
    torn = tmp_path / "part-000000003.parquet"
    whole = torn.read_bytes()
    for turn in range(2):
        torn.write_bytes(whole[:-20])
        (told,) = database.set_aside()
        assert str(torn) in told
        assert (tmp_path / f"{torn.name}-{turn}{log.DAMAGED}").read_bytes() == whole[:-20]
    assert database.read() == [record(0)]
    assert database.set_aside() == []


def test_a_part_that_the_system_does_not_let_read_stays(tmp_path, monkeypatch):
    database = Database(tmp_path)
    database.append([record(0)])

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(log.pq, "read_table", denied)
    with pytest.raises(log.DatabaseError, match="Permission denied"):
        database.set_aside()
    monkeypatch.undo()
    assert database.read() == [record(0)]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    database = Database(tmp_path)
    database.append([record(0)])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        database.append([record(1)])
    monkeypatch.undo()
    assert Database(tmp_path).read() == [record(0)]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_impossible_latencies_are_damage(tmp_path, seconds):
    Database(tmp_path).append([record(0, latencies=(seconds,)), record(1)])
    with pytest.raises(DatabaseError, match="is not a readable part"):
        Database(tmp_path).read()


def test_a_folder_in_the_place_of_a_part_is_set_aside(tmp_path):
    Database(tmp_path).append([record(0)])
    (tmp_path / "part-000000009.parquet").mkdir()
    database = Database(tmp_path)
    (told,) = database.set_aside()
    assert "cannot be read (it is no file)" in told
    assert database.read() == [record(0)]
