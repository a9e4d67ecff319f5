"""The store and the lock by the real command: what was measured once is not measured again."""

import json
from pathlib import Path

import pytest

from tests.whole.calm_store import calmed
from tests.whole.command import SEARCHED, SERIAL, chameleon, records, refused, tuned
from tests.whole.onnx_net import dense_layers

KNOWN = "1 of 1 layer known, 0 to tune."


@pytest.fixture(scope="module")
def store(serial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with what the run without Ray measured."""
    path = tmp_path_factory.mktemp("store")
    code, out, err = chameleon("store", "import", str(serial), "--store", str(path))
    assert code == 0, err
    assert "1 entries taken" in out
    calmed(path)
    return path


@pytest.fixture(scope="module")
def again(store: Path, dense: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second run of the same command, with that store."""
    path = tmp_path_factory.mktemp("again") / "run"
    return tuned(path, dense, *SEARCHED, "--store", str(store))


def test_the_second_run_measures_nothing(serial: Path, again: Path, store: Path) -> None:
    summary = json.loads((again / "summary.json").read_text())
    assert summary["measurements"]["total"] == 0
    assert summary["measurements"]["from_store"] == len(records(serial))
    assert KNOWN in (again / "log.jsonl").read_text()
    assert {record.origin for record in records(again)} == {"store"}
    assert len(list(store.rglob("*.parquet"))) == 1
    assert "from the store" in (again / "report.html").read_text()


def test_a_lock_gives_the_same_library(again: Path, dense: str, tmp_path: Path) -> None:
    lock = again / "chameleon.lock"
    locked = tuned(tmp_path / "run", dense, *SERIAL, "--locked", str(lock), "--store", "none")
    assert records(locked) == []
    assert (locked / "model.so").read_bytes() == (again / "model.so").read_bytes()
    assert (locked / "chameleon.lock").read_text() == lock.read_text()


@pytest.mark.parametrize(
    ("which", "status", "verdict"), [("tuned", 0, "within the limit"), ("untuned", 4, "slower")]
)
def test_a_model_is_checked_against_what_its_lock_promises(
    again: Path, dense: str, tmp_path: Path, which: str, status: int, verdict: str
) -> None:
    """A library 20 times as fast as promised, or as slow, is so on a busy machine, too."""
    known = json.loads((again / "chameleon.lock").read_text())
    known["seconds"][which] *= 20
    lock = tmp_path / "chameleon.lock"
    lock.write_text(json.dumps(known))
    words = ("check", str(lock), dense, "--pairs", "10", "--fail-if-slower", "95%")
    code, out, err = chameleon(*words)
    assert (code, f"| 10 | 95 % | {verdict} |" in out) == (status, True), (out, err)


def test_a_lock_of_another_model_is_refused(again: Path, tmp_path: Path) -> None:
    other = dense_layers(tmp_path / "other.onnx", 48, 80)
    lock = str(again / "chameleon.lock")
    code, _, err = chameleon(
        "tune", other, *SERIAL, "--locked", lock, "--out", str(tmp_path / "run")
    )
    assert code == 1
    assert f"{lock} is a lock of another model" in err
    code, err = refused("tune", other, *SERIAL, "--locked", str(tmp_path / "none.lock"))
    assert code == 1
    assert "cannot be read (No such file or directory)" in err


def test_a_store_is_looked_at_and_tidied(serial: Path, store: Path, tmp_path: Path) -> None:
    given = ("--store", str(store))
    code, out, _ = chameleon("store", "ls", *given)
    assert (code, records(serial)[0].task in out) == (0, True)
    code, out, _ = chameleon("store", "show", "matmul", *given)
    assert (code, "winner" in out) == (0, True)
    code, out, _ = chameleon("store", "export", str(tmp_path / "copy"), *given)
    assert (code, "1 entries written" in out) == (0, True)
    code, out, _ = chameleon("store", "gc", "--store", str(tmp_path / "copy"), "--days", "0")
    assert (code, "1 old ones" in out) == (0, True)
    code, out, _ = chameleon("store", "ls", "--store", str(tmp_path / "copy"))
    assert (code, out) == (0, "The store is empty.\n")
    code, _, err = chameleon("store", "ls", "--store", "none")
    assert (code, "There is no store" in err) == (1, True)
