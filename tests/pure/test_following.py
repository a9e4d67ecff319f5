"""A run that is followed from its log: the same view as its own, until it ends or is gone."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chameleon_ray.commands.app import app
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.events import EventLog
from chameleon_ray.report.live_table import lines
from chameleon_ray.report.progress import Progress
from chameleon_ray.run_files import RunFiles
from chameleon_ray.runs.following import Follower
from tests.pure.fake_result import fake_result, record
from tests.pure.kept_runs import kept, under_way


def drawn(progress: Progress) -> list[str]:
    """The view, but for its first lines, which count the seconds that pass between two views."""
    return [line.text for line in lines(progress, 160, 40)[3:]]


def test_the_view_is_that_of_the_run_itself(tmp_path: Path) -> None:
    result, follower = fake_result(tmp_path), Follower(RunFiles(tmp_path / "run"))
    assert follower.read() == []
    with under_way(tmp_path / "run") as (progress, log):
        for one in result.records[:200]:
            log.proposed(one.task, 2)
            progress.proposed(one.task, 2)
            progress.measured(one, 0.25)
            log.measured(one, 0.25)
        log.finished(result.tasks[0].digest, "no gain in 12 plans")
        progress.finished(result.tasks[0].digest, "no gain in 12 plans")
        progress.note("Careful, \x1b[2J.")
        assert len(follower.read()) == 404
        assert follower.read() == []
        assert follower.progress.measurements == progress.measurements == 200
        assert follower.progress.shares == pytest.approx(progress.shares)
        assert drawn(follower.progress) == drawn(progress)


def test_what_was_known_before_counts(tmp_path: Path) -> None:
    result = fake_result(tmp_path)
    task, path = result.tasks[0], tmp_path / "log.jsonl"
    earlier = [record(task, 8.0, DEFAULT), record(task, 4.0, (1, 1)), record(task, None, (2, 2))]
    progress = Progress()
    with EventLog(path, progress, result.tasks):
        progress.began(result.tasks, None, None, earlier)
        progress.measured(record(task, 2.0, (3, 3)))
    follower = Follower(RunFiles(tmp_path))
    follower.read()
    layer = follower.progress.layers[task.digest].history
    assert (layer.measurements, layer.ok, layer.default, layer.best) == (3, 2, 8e-3, 4e-3)


def test_only_whole_lines_are_read_and_others_passed_over(tmp_path: Path) -> None:
    follower, log = Follower(RunFiles(tmp_path)), tmp_path / "log.jsonl"
    line = json.dumps({"event": "phase", "time": 100.0, "seconds": 5.0, "name": "one"})
    log.write_text(f'{{"torn\n\x00\n[1]\n{{"event": "phase"}}\n{line}\n{line[:20]}')
    follower.read()
    assert [phase.name for phase in follower.progress.phases] == ["one"]
    with log.open("a") as sink:
        sink.write(f"{line[20:]}\n".replace("one", "two"))
    follower.read()
    assert [phase.name for phase in follower.progress.phases] == ["one", "two"]
    follower.settle()
    assert follower.progress.elapsed == pytest.approx(5.0)


def test_events_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    moment = {"time": 100.0, "seconds": 5.0}
    odd = [
        {"event": "began", "layers": [1, {"task": 5, "weight": "x"}], "devices": "many"},
        {"event": "measured", "task": "nobody", "status": "better"},
        {"event": "measured", "task": "nobody", "status": "ok", "latency_ms": 1e400},
        {"event": "proposed", "task": ["a"], "count": 1e300},
        {"event": "finished", "task": None},
        {"event": 3},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(moment | one) + "\n" for one in odd))
    follower = Follower(RunFiles(tmp_path))
    assert len(follower.read()) == len(odd)
    assert lines(follower.progress, 80, 24)


def test_the_last_session_counts(tmp_path: Path) -> None:
    kept(tmp_path / "run", outcome="stopped", measured=30)
    log, follower = tmp_path / "run" / "log.jsonl", Follower(RunFiles(tmp_path / "run"))
    follower.read()
    assert follower.progress.measurements == 30
    log.write_text(log.read_text() * 2)
    follower.read()
    assert follower.progress.measurements == 30
    assert len(follower.progress.phases) == 1


@contextmanager
def ending(path: Path, outcome: str | None, seconds: float = 0.3) -> Iterator[None]:
    """A run under way that ends after a moment."""
    ready, leave = threading.Event(), threading.Event()

    def work() -> None:
        with under_way(path) as (progress, log):
            ready.set()
            leave.wait(10)
            progress.measured(fake_result(path).records[0])
            log.measured(fake_result(path).records[0], 0.1)
            if outcome is not None:
                log.ended(outcome, f"The end: {outcome}.")  # type: ignore[arg-type]

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    threading.Timer(seconds, leave.set).start()
    yield
    thread.join()


@pytest.mark.parametrize("outcome", ["done", "stopped", "error", None])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_run_is_watched_until_it_ends(tmp_path: Path, outcome, form) -> None:
    began = time.monotonic()
    with ending(tmp_path / "run", outcome):
        done = CliRunner().invoke(app, ["watch", str(tmp_path / "run"), *form])
    assert time.monotonic() - began >= 0.3
    assert done.exit_code == (0 if outcome == "done" else 1), done.output
    if outcome is None:
        assert "is gone without a word. Go on with: chameleon tune" in done.output
    elif outcome != "done":
        assert f"The end: {outcome}." in done.output
    if form:
        events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        ended = ["ended"] if outcome else []
        assert events == ["phase", "began", "measured", *ended]
    else:
        assert "searching" in done.stderr
        assert done.stdout.count("\n") == 1


def test_a_run_that_is_over_is_told_at_once(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    before = os.stat(tmp_path / "run")
    done = CliRunner().invoke(app, ["watch", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "resnet-18: " in done.stdout
    assert os.stat(tmp_path / "run").st_mtime_ns == before.st_mtime_ns
