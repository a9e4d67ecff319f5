"""Tables: every format gives the same space and the same answers; bad files give one sentence."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chameleon_ray.database import Database
from chameleon_ray.knob import Knob
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.replay.table import Table, TableError, read_table
from tests.pure.recordings import (
    BEST,
    PARAMETERS,
    WRITERS,
    cache,
    configurations,
    record,
    result,
    write_cache,
    write_records,
)

formats = pytest.mark.parametrize("kind", WRITERS)


def config(table: Table, values: dict) -> tuple[int, ...]:
    return tuple(knob.choices.index(values[knob.name]) for knob in table.space.knobs)


def at(table: Table, values: dict) -> int:
    row = table.row(config(table, values))
    assert row is not None
    return row


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


@formats
def test_the_space_is_what_was_recorded(kind: str, tmp_path: Path) -> None:
    table = read_table(WRITERS[kind](tmp_path / "toy"))
    assert table.name == "toy"
    assert {knob.name: set(knob.choices) for knob in table.space.knobs} == {
        name: set(choices) for name, choices in PARAMETERS.items() if name != "fixed"
    }
    assert len(table) == table.space.size == len(table.space.enumerate()) == 160
    assert table.space.valid(table.space.enumerate()).all()
    assert table.space.active is None


@formats
def test_answers_are_in_seconds(kind: str, tmp_path: Path) -> None:
    table = read_table(WRITERS[kind](tmp_path / "toy"))
    assert table.optimum == pytest.approx(1e-3)
    row = at(table, BEST)
    assert table.latency[row] == pytest.approx(1e-3)
    assert table.build_seconds[row] == pytest.approx(0.1)
    assert table.run_seconds[row] == pytest.approx(0.05)
    assert table.seconds[row] == pytest.approx(0.15)
    slower = at(table, BEST | {"order": "xy", "tile": 1})
    assert table.latency[slower] == pytest.approx(1.9e-3)


@formats
def test_failures_keep_their_kind(kind: str, tmp_path: Path) -> None:
    table = read_table(WRITERS[kind](tmp_path / "toy"))
    assert Counter(table.status) == {
        Status.OK: 160 - 16,
        Status.INVALID: 8,
        Status.BUILD_ERROR: 4,
        Status.RUN_ERROR: 4,
    }
    row = at(table, BEST | {"block": 256, "tile": 4})
    assert table.status[row] is Status.RUN_ERROR
    assert np.isinf(table.latency[row])
    assert table.error[row] in ("RuntimeFailedConfig", "runtime")
    assert table.error[at(table, BEST)] == ""


def test_all_formats_give_one_table(tmp_path: Path) -> None:
    tables = [read_table(write(tmp_path / kind)) for kind, write in WRITERS.items()]
    for values in configurations():
        latencies = [table.latency[at(table, values)] for table in tables]
        assert latencies == pytest.approx(latencies[:1] * 3)


def test_what_was_not_recorded_is_no_member(tmp_path: Path) -> None:
    document = cache()
    document["cache"].pop("64,3,True,yx,1.5,15")
    document["tune_params"] = PARAMETERS | {"block": [512, 256, 16, 16, 128, 64, 32]}
    table = read_table(written(tmp_path / "toy.json", document))
    assert table.name == "toy"
    assert table.device == "Toy 1"
    assert table.row(config(table, BEST)) is None
    assert table.row(DEFAULT) is None
    assert table.space.knobs[0].choices == (256, 16, 128, 64, 32)


def test_a_later_result_counts(tmp_path: Path) -> None:
    again = result(BEST)
    again["measurements"][0]["value"] = 7.0
    body = {"results": [result(BEST), result(BEST | {"tile": 1}), again]}
    table = read_table(written(tmp_path / "t4.json", body))
    assert len(table) == 2
    assert table.latency[at(table, {"tile": 3})] == pytest.approx(7e-3)


@pytest.mark.parametrize("cut", [",", ',\n"64,3,True,yx,1.5,15": {"block": 64, "ti'])
def test_an_interrupted_cache_is_closed(cut: str, tmp_path: Path) -> None:
    text = json.dumps(cache(), indent=0)
    entries = text[: text.index('"256,4')].rstrip().removesuffix(",")
    (tmp_path / "cache").write_text(entries + cut)
    assert len(read_table(tmp_path / "cache")) == 160 - 8


@pytest.mark.parametrize(
    ("unit", "metadata", "seconds"),
    [("ms", {}, 2e-3), ("", {}, 2e-3), ("", {"timeunit": "microseconds"}, 2e-6), ("s", {}, 2.0)],
)
def test_t4_units(unit: str, metadata: dict, seconds: float, tmp_path: Path) -> None:
    timed = result(BEST)
    timed["measurements"] = [
        {"name": "energy", "value": 9, "unit": "J"},
        {"name": "time", "value": 2, "unit": unit},
    ]
    body = {"metadata": metadata, "results": [timed, result(BEST | {"tile": 4})]}
    table = read_table(written(tmp_path / "t4.json", body))
    assert table.latency[at(table, {"tile": 3})] == pytest.approx(seconds)


def test_t4_falls_back_on_runtimes(tmp_path: Path) -> None:
    timed, lost = result(BEST), result(BEST | {"tile": 4})
    del timed["measurements"], lost["measurements"]
    timed["times"] = {"compilation_time": 5.0, "runtimes": [1.0, 5.0, 3.0]}
    lost["times"] = {}
    table = read_table(written(tmp_path / "t4.json", {"results": [timed, lost]}))
    row = at(table, {"tile": 3})
    assert table.latency[row] == pytest.approx(3e-3)
    assert (table.build_seconds[row], table.run_seconds[row]) == pytest.approx((5e-3, 9e-3))
    assert table.status[at(table, {"tile": 4})] is Status.RUN_ERROR


def test_tilings_lie_on_their_axes(tmp_path: Path) -> None:
    whole = Knob.tiling("rows", 24, 3, 8)
    records = [record(n, BEST, values=json.dumps({"rows": c})) for n, c in enumerate(whole.choices)]
    Database(tmp_path / "run" / "records").append(records)
    (tmp_path / "run" / "run.json").write_text('{"layers": {"aaaaaaaaaaaaaaaa": "conv"}}')
    for path in (tmp_path / "run", tmp_path / "run" / "records"):
        (knob,) = read_table(path).space.knobs
        assert knob.choices == whole.choices
        np.testing.assert_array_equal(knob.coordinates, whole.coordinates)
        np.testing.assert_array_equal(knob.features, whole.features)
    assert read_table(tmp_path / "run").name == "run:conv"


def test_a_sketch_decides_which_knobs_count(tmp_path: Path) -> None:
    plain = [{"sketch": 0, "unroll": unroll} for unroll in (0, 16)]
    cached = [{"sketch": 1, "unroll": u, "place": p} for u in (0, 16) for p in (-2, -1, 0)]
    Database(tmp_path).append(
        [record(n, BEST, values=json.dumps(values)) for n, values in enumerate(plain + cached)]
    )
    space = read_table(tmp_path).space
    assert [knob.name for knob in space.knobs] == ["sketch", "unroll", "place"]
    assert space.active is not None
    assert space.active.tolist() == [[True, True, False], [True, True, True]]
    assert space.size == 8
    assert space.values((0, 1, 0)) == plain[1]
    np.testing.assert_array_equal(space.canonical(space.enumerate()), space.enumerate())


def test_one_file_and_one_task_of_several(tmp_path: Path) -> None:
    folder = write_records(tmp_path / "records")
    Database(folder).append(
        [record(1000 + n, BEST | {"tile": n}, task="b" * 16) for n in (1, 2, 3)]
    )
    with pytest.raises(TableError, match=r"2 tasks; choose one with --task: a{16} .*, b{16} .*3 r"):
        read_table(folder)
    with pytest.raises(TableError, match="has no task c"):
        read_table(folder, "c")
    assert len(read_table(folder, "b" * 16)) == 3
    file = max(folder.glob("*.parquet")).rename(tmp_path / "some file")
    assert len(read_table(file)) == 3


def damage(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that cannot be replayed, and a part of what is said of each."""
    good = write_cache(folder / "good").read_bytes()
    whole = cache()
    failing = {key: entry | {"time": "E"} for key, entry in whole["cache"].items()}
    lacking = {"x": {"block": 1}}
    alone = {
        key: entry for key, entry in whole["cache"].items() if key.startswith("64,3,True,yx,1")
    }
    mixed = [result(BEST), result(BEST | {"tile": 1}), result(BEST | {"extra": 1})]
    foreign = folder / "foreign.parquet"
    pq.write_table(pa.table({"x": [1]}), foreign)
    (folder / "half.gz").write_bytes(good[:-100])
    (folder / "torn.parquet").write_bytes(b"PAR1 and no more")
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "prose").write_text("no JSON")
    (folder / "empty").mkdir()
    documents = {
        "other": ({"a": 1}, "is no table"),
        "nothing": ({"results": []}, "no configuration is in it"),
        "failed": (whole | {"cache": failing}, "every configuration in it failed"),
        "lacking": (whole | {"cache": lacking}, "lacks a parameter"),
        "fixed": (whole | {"cache": alone}, "no parameter in it has more than one value"),
        "mixed": ({"results": mixed}, "'extra' is missing in some"),
        "nested": (
            {"results": [result(BEST) | {"configuration": {"a": {}}}]},
            "cannot be a choice",
        ),
        "bare": ({"results": [1]}, "without a configuration"),
    }
    found = {name: (written(folder / name, d), words) for name, (d, words) in documents.items()}
    return found | {
        "missing": (folder / "missing", "There is no"),
        "half.gz": (folder / "half.gz", "cannot be read"),
        "torn": (folder / "torn.parquet", "cannot be read"),
        "foreign": (foreign, "is not a readable part of the records"),
        "binary": (folder / "binary", "is no table"),
        "prose": (folder / "prose", "is no table"),
        "empty": (folder / "empty", "holds no records"),
    }


def test_bad_files_give_one_sentence(tmp_path: Path) -> None:
    for name, (path, words) in damage(tmp_path).items():
        with pytest.raises(TableError) as caught:
            read_table(path)
        sentence = str(caught.value)
        assert words in sentence, name
        assert str(path) in sentence, name
        assert "\n" not in sentence, name
        assert sentence.endswith("."), name


def test_a_task_is_for_records_only(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="one task only; leave out --task"):
        read_table(write_cache(tmp_path / "cache"), "a" * 16)


def test_a_whole_cache_may_be_plain_or_compressed(tmp_path: Path) -> None:
    packed = write_cache(tmp_path / "toy.json.gz")
    plain = tmp_path / "toy.json"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert read_table(packed).name == read_table(plain).name == "toy"
    assert read_table(packed).space.digest == read_table(plain).space.digest
