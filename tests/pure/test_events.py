"""The log of events: every line is JSON, in order, and its failure ends nothing."""

import json
from pathlib import Path

import pytest

from chameleon_ray.api.watchers import Watchers
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.events import EventLog
from chameleon_ray.report.progress import Progress
from tests.pure.engine_checks import Notes
from tests.pure.fake_result import record, task
from tests.pure.test_docs import RUN_DIRECTORY


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class Planned:
    """What a log asks a tuner for."""

    def __init__(self, best: float) -> None:
        self.task, self.plan, self.records, self.best_latency = task("conv"), 2, [1, 2, 3], best


def logged(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def told(path: Path) -> list[dict]:
    """A small run's log."""
    of, progress = task("conv"), Progress(Clock())
    progress.phase("importing the model")
    with EventLog(path, progress, [of]) as log:
        progress.note("Two words.")
        progress.began([of], 60.0, 100, [record(of, 8.0, DEFAULT)], devices=2)
        log.proposed(of.digest, 2)
        log.measured(record(of, 2.0, sequence=0), 0.5)
        log.measured(record(of, None, sequence=1, error="it\nbroke"), 0.0)
        log.planned(Planned(2e-3))  # type: ignore[arg-type]
        log.planned(Planned(float("inf")))  # type: ignore[arg-type]
        log.finished(of.digest, "done")
        progress.phase("choosing winners")
        log.ended("stopped", "Stopped. Go on.")
    progress.phase("compiling the model")
    return logged(path)


def test_everything_is_a_line(tmp_path: Path) -> None:
    lines = told(tmp_path / "log.jsonl")
    assert [line["event"] for line in lines] == [
        *("phase", "note", "began", "proposed", "measured", "measured"),
        *("planned", "planned", "finished", "phase", "ended"),
    ]
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    assert lines[0]["name"] == "importing the model"
    assert lines[1]["text"] == "Two words."
    assert (lines[2]["wall_limit_seconds"], lines[2]["trial_limit"]) == (60.0, 100)
    (layer,) = lines[2]["layers"]
    assert (layer["layer"], layer["measurements"], layer["default_ms"]) == ("conv", 1, 8.0)
    assert (lines[3]["layer"], lines[3]["count"]) == ("conv", 2)
    assert (lines[4]["latency_ms"], lines[4]["status"]) == (2.0, "ok")
    assert (lines[5]["latency_ms"], lines[5]["error"]) == (None, "it\nbroke")
    assert (lines[6]["best_ms"], lines[6]["plan"], lines[6]["measurements"]) == (2.0, 1, 3)
    assert lines[7]["best_ms"] is None
    assert lines[8]["reason"] == "done"
    assert (lines[10]["outcome"], lines[10]["text"]) == ("stopped", "Stopped. Go on.")


def test_another_session_s_lines_follow(tmp_path: Path) -> None:
    first = told(tmp_path / "log.jsonl")
    assert len(told(tmp_path / "log.jsonl")) == 2 * len(first)


def test_a_log_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with EventLog(tmp_path / "log.jsonl", Progress(), []) as log:
        log.finished("task", "done")
    if Path("/dev/full").exists():
        with EventLog(Path("/dev/full"), Progress(), []) as log:
            log.finished("task", "done")


def test_it_is_described(tmp_path: Path) -> None:
    section = RUN_DIRECTORY.partition("## log.jsonl")[2].partition("\n## ")[0]
    for line in told(tmp_path / "log.jsonl"):
        assert f"`{line['event']}`" in section
        for field in line:
            assert f"`{field}`" in section, field
        for field in (line.get("layers") or [{}])[0]:
            assert f"`{field}`" in section, field


def test_all_watchers_are_told_in_order() -> None:
    first, second = Notes(), Notes()
    both, of = Watchers(first, second), task("conv")
    both.proposed(of.digest, 2)
    both.measured(record(of, 1.0), 0.1)
    both.planned(None)  # type: ignore[arg-type]
    both.finished(of.digest, "done")
    assert first.records == second.records != []
    assert first.in_flight == second.in_flight == {of.digest: 1}
    assert first.reasons == second.reasons == {of.digest: "done"}


def test_the_first_watcher_s_trouble_keeps_the_others_from_knowing() -> None:
    class Full(Notes):
        def measured(self, one, timing_seconds):
            raise OSError("disk full")

    second = Notes()
    with pytest.raises(OSError, match="disk full"):
        Watchers(Full(), second).measured(record(task("conv"), 1.0), 0.1)
    assert second.records == []
