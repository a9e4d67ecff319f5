"""Whole runs on the smallest network: files, summary, accounts, verification."""

import json
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.hostile.stage import unsound
from tests.whole.command import NET, SERIAL, chameleon, records, tuned
from tests.whole.onnx_net import nothing_to_tune

FILES = ("run.json", "winners.json", "model.so", "untuned.so", "summary.json", "report.html")
SYSTEMS = {"ray": ("--engine", "ray"), "random": ("--explorer", "random")}
"""Options."""
TRIALS = {"ray": 60, "serial": 24, "random": 24}
"""More than their layers have first plans, so that each searches."""
PHASES = {"import", "extract", "explore", "sample", "fit", "build", "run", "apply", "verify"}
STATUSES = (
    *("ok", "invalid", "build_error", "build_timeout"),
    *("run_error", "run_timeout", "crash", "wrong_answer"),
)


@pytest.fixture(scope="module", params=TRIALS)
def run(
    request: pytest.FixtureRequest,
    serial: Path,
    dense: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    name = request.param
    if name == "serial":
        return serial
    path, model = tmp_path_factory.mktemp("run") / name, NET if name == "ray" else dense
    return tuned(path, model, *SYSTEMS[name], "--trials", str(TRIALS[name]))


@pytest.fixture
def summary(run: Path) -> dict:
    body: dict = json.loads((run / "summary.json").read_text())
    return body


def test_everything_is_there(run: Path) -> None:
    for name in FILES:
        assert (run / name).stat().st_size > 0, name
    assert len(list((run / "tvm_db").glob("*.json"))) == 2
    assert "<html" in (run / "report.html").read_text()
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]
    assert unsound(run.parent) == []
    assert json.loads((run / "log.jsonl").read_text().splitlines()[-1])["event"] == "ended"


def test_every_file_of_json_is_strict(run: Path) -> None:
    files = [*run.rglob("*.json"), run / "log.jsonl", run / "chameleon.lock"]
    assert {"run.json", "winners.json", "summary.json"} < {path.name for path in files}
    for path in files:
        lines = path.suffix == ".jsonl" or path.parent.name == "tvm_db"
        for text in path.read_text().splitlines() if lines else [path.read_text()]:
            json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_every_config_is_one_record(run: Path, summary: dict) -> None:
    known = records(run)
    keys = Counter((record.task, record.config) for record in known)
    trials = TRIALS[run.name]
    assert len(known) == summary["measurements"]["total"] == trials
    assert set(keys.values()) == {1}
    assert sorted(record.sequence for record in known) == list(range(trials))
    assert {record.task for record in known} <= {task["digest"] for task in summary["tasks"]}
    for record in known:
        assert (record.status == "ok") == bool(record.latencies) == (record.error == "")
        assert record.finished > 0


def test_the_summary_says_what_it_must(run: Path, summary: dict) -> None:
    assert summary["schema"] == 1
    assert {"model", "target", "device", "seed", "preset"} <= set(summary)
    assert set(summary["seconds"]) >= PHASES
    assert all(seconds >= 0 for seconds in summary["seconds"].values())
    assert all(summary["seconds"][phase] > 0 for phase in PHASES), summary["seconds"]
    counts = summary["measurements"]
    assert sum(counts[status] for status in STATUSES) == counts["total"]
    assert 0 < summary["device_busy_fraction"] < 1
    for task in summary["tasks"]:
        assert {"name", "digest", "weight", "flop", "space_size", "measurements"} <= set(task)
        assert task["best_ms"] <= task["default_ms"]
        assert all(len(point) == 3 for point in task["curve"])
        best = [point[2] for point in task["curve"] if point[2] is not None]
        assert best == sorted(best, reverse=True)
    assert sum(task["measurements"] for task in summary["tasks"]) == counts["total"]
    assert summary["latency_ms"]["tuned"] > 0
    assert summary["latency_ms"]["untuned"] > 0


def test_the_result_is_verified(summary: dict) -> None:
    assert summary["verified"]["ok"] is True
    assert summary["verified"]["max_rel_err"] < 1e-3


def test_every_process_accounts_for_its_time(summary: dict) -> None:
    wall = summary["wall_seconds"]
    names = {process["name"] for process in summary["processes"]}
    for pool in ("driver", ("searcher", "explorer"), "builder", "runner"):
        assert any(name.startswith(pool) for name in names), pool
    for process in summary["processes"]:
        parts = [process[f"{part}_seconds"] for part in ("busy", "waiting", "starting")]
        assert min(parts) >= 0, process
        assert sum(parts) == pytest.approx(wall, rel=0.05), process


def test_a_finished_run_can_be_applied_and_timed(serial: Path, dense: str) -> None:
    code, out, err = chameleon("apply", str(serial), dense, "--json", "--quiet")
    assert (code, err) == (0, "")
    assert json.loads(out)["verified"]["outcome"] == "verified"
    code, out, err = chameleon("bench", str(serial), "--repeats", "3")
    assert code == 0, err
    assert re.search(r"dense: [\d.]+ ms; ONNX Runtime [\d.]+; untuned TVM [\d.]+", out), out
    assert "Not compared with PyTorch: the model is .onnx, not torch's." in out


def test_a_finished_run_was_compared(serial: Path) -> None:
    (found,) = json.loads((serial / "summary.json").read_text())["comparison"]
    assert (found["name"], found["threads"]) == ("ONNX Runtime", 1)
    assert found["version"] == version("onnxruntime")
    assert 0 < found["latency"] < 1
    assert found["spread"] >= 0


def test_a_model_with_nothing_to_tune_is_compiled_and_verified(tmp_path: Path) -> None:
    code, out, _ = chameleon(
        *("tune", nothing_to_tune(tmp_path / "largest.onnx"), *SERIAL),
        *("--trials", "4", "--out", str(tmp_path / "run")),
    )
    assert code == 0
    assert "Nothing to tune: no layer of the model has a choice of schedules." in out
    assert "Verified" in out
    assert (tmp_path / "run" / "report.html").stat().st_size > 0
