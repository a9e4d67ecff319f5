"""Progress, summary and plain log against figures worked out by hand."""

import io
import json
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.ledger import Account
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.report.format import clock, digits
from chameleon_ray.report.layer_history import LayerHistory, shares
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.log import LogLines
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Latency, Launching, RunResult
from chameleon_ray.report.summary import summary, write
from chameleon_ray.reporting import Reporting
from tests.pure.fake_result import fake_result, record, task

A, B = task("a", weight=2, flop=3e6), task("b", weight=1, flop=0.0)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def result(*records, outcomes=(), **fields) -> RunResult:
    blank = fake_result(Path("run"))
    empty = {"untuned": None, "tuned": None, "verified": None, "processes": ()}
    given = {"tasks": (A, B), "records": records, "outcomes": outcomes} | empty | fields
    return replace(blank, **given)


def test_progress_has_the_known_answers():
    now = Clock()
    progress = Progress(now)
    now.now = 104.0
    progress.began([A, B], wall_limit_seconds=60.0, trial_limit=10)
    progress.proposed(A.digest, 3)
    for second, milliseconds, config in ((106, 6.0, DEFAULT), (107, None, (1,)), (109, 3.0, (2,))):
        now.now = second
        fields = {"finished": second - 100.0, "config": config}
        progress.measured(record(A, milliseconds, **fields), timing_seconds=0.5)
    layer = progress.layers[A.digest]
    history = layer.history
    assert (history.measurements, history.ok, history.failed, layer.in_flight) == (3, 2, 1, 0)
    assert history.speedup == pytest.approx(2.0)
    assert history.gflops == pytest.approx(1.0)
    assert history.curve == [(1, 6.0, 6.0), (3, 9.0, 3.0)]
    assert progress.shares == {A.digest: 1.0, B.digest: None}
    assert progress.weighted == (pytest.approx(0.012), pytest.approx(0.006))
    assert progress.unknown == 1
    assert progress.rate == pytest.approx(2 / 3)
    assert progress.busy_fraction == pytest.approx(1.5 / 5)
    assert progress.elapsed == 9.0
    assert progress.left == pytest.approx(7 / (2 / 3))
    now.now = 155.0
    assert progress.left == pytest.approx(5.0), "the wall limit is nearer now"


def test_states_go_from_waiting_to_finished():
    progress = Progress()
    progress.began([A, B], None, None)
    assert progress.layers[A.digest].state == "waiting"
    progress.proposed(A.digest, 1)
    assert progress.layers[A.digest].state == "searching"
    progress.finished(A.digest, "no improvement")
    assert progress.layers[A.digest].state == "finished: no improvement"
    assert progress.left is None


def test_earlier_sessions_count_but_do_not_raise_the_rate():
    now = Clock()
    progress = Progress(now)
    progress.began([A], None, 100, recorded=[record(A, 5.0)] * 40)
    for second in (101, 103):
        now.now = second
        progress.measured(record(A, 4.0))
    assert progress.measurements == 42
    assert progress.rate == pytest.approx(0.5)
    progress.measured(record(task("gone"), 1.0))
    assert progress.measurements == 42


def test_another_device_counts_but_is_not_compared():
    progress = Progress()
    progress.began([A], None, None)
    progress.measured(record(A, 5.0, device="slow"))
    progress.measured(record(A, 1.0, device="fast"))
    assert progress.layers[A.digest].history.best == 5e-3
    assert progress.layers[A.digest].history.ok == 2


def test_curve_ends_at_the_latest_measurement():
    progress = Progress()
    progress.began([A], None, None)
    for second, milliseconds in ((1.0, None), (2.0, 4.0), (3.0, 5.0)):
        progress.measured(record(A, milliseconds, finished=second))
    assert progress.layers[A.digest].history.curve == [(2, 2.0, 4.0), (3, 3.0, 4.0)]


def test_the_search_and_the_report_have_one_history():
    records = [record(A, 5.0, DEFAULT), record(A, None), record(A, 3.0, (2,), finished=4.0)]
    progress = Progress()
    progress.began([A, B], None, None, [*records[:2], record(B, 1.0)])
    progress.measured(records[2])
    assert progress.layers[A.digest].history == LayerHistory.of(A, records)
    made = result(*records[:2], record(task("gone"), 1.0), records[2], record(B, 1.0))
    assert made.layers is made.layers, "it is worked out once"
    first, second = made.layers
    assert (first.measurements, first.failed, first.curve) == (3, 1, [(1, 0.0, 5.0), (3, 4.0, 3.0)])
    assert (second.task, second.measurements, second.best) == (B, 1, 1e-3)


def test_shares_leave_the_unknown_out():
    assert shares([3.0, inf, 1.0]) == [0.75, None, 0.25]
    assert shares([inf]) == [None]


def test_summary_has_every_key_and_counts_every_status():
    made = summary(fake_result(Path("run")))
    assert " ".join(made["seconds"]) == "import extract explore sample fit build run apply verify"
    assert set(made["measurements"]) == {
        "total",
        "from_store",
        *(status.value for status in Status),
    }
    counts = made["measurements"]
    assert counts["total"] == sum(counts.values()) - counts["total"]
    assert sum(entry["measurements"] for entry in made["tasks"]) == counts["total"]
    assert made["schema"] == 1
    assert " ".join(made) == (
        "schema model target device seed preset explorer sampler wall_seconds seconds "
        "device_busy_fraction measurements tasks ceiling remaining processes latency_ms comparison "
        "course layers_ms inputs outputs entry needs timed_with explanation verified launching "
        "disturbed"
    )
    entry = made["tasks"][0]
    assert entry["curve"][0][2] == pytest.approx(entry["default_ms"])
    assert entry["space_size"] == made["tasks"][1]["space_size"] > 1
    assert summary(fake_result(Path("run"))) == made


def test_it_says_how_kernels_are_launched():
    assert summary(result())["launching"] is None
    made = summary(result(launching=Launching(graphs=True, ratio=1.5)))
    assert made["launching"] == {"graphs": True, "other_ratio": 1.5, "fault": None}
    made = summary(result(launching=Launching(graphs=False, fault="they failed")))
    assert made["launching"] == {"graphs": False, "other_ratio": None, "fault": "they failed"}


def test_kept_default_is_the_best_and_keeps_its_reason():
    records = (record(A, 4.0, DEFAULT), record(A, 3.9, (1,)))
    kept = LayerOutcome(A.digest, DEFAULT, default=4.1e-3, reason="1 % is noise")
    row = result(*records, outcomes=(kept,)).layers[0]
    assert row.kept_default
    assert (row.default, row.best, row.reason) == (4.1e-3, 4.1e-3, "1 % is noise")
    won = LayerOutcome(A.digest, (1,), default=4.0e-3, best=2.5e-3)
    row = result(*records, outcomes=(won,)).layers[0]
    assert (row.kept_default, row.best, row.values) == (False, 2.5e-3, '{"unroll": 16}')
    assert not result(*records).layers[0].kept_default, "nothing was chosen yet"


def test_layers_sum_is_weighted_and_leaves_out_the_unknown():
    made = summary(result(record(A, 4.0, DEFAULT), record(A, 3.0, (1,))))
    assert made["layers_ms"] == pytest.approx(6.0)
    assert made["tasks"][1]["best_ms"] is None
    assert made["tasks"][1]["curve"] == []


def test_no_success_at_all_is_strict_json_full_of_nulls(tmp_path):
    failures = result(record(A, None), record(B, None), device_busy_fraction=nan)
    write(tmp_path / "summary.json", failures)
    read = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    assert read["latency_ms"] == {"untuned": None, "tuned": None}
    assert read["layers_ms"] is None
    assert read["device_busy_fraction"] is None
    assert read["verified"].pop("examples") == 0
    assert set(read["verified"].values()) == {None}
    assert read["measurements"]["crash"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_failed_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("older")
    with pytest.raises(TypeError):
        write(path, result(record(A, 1.0), seed=object()))
    assert path.read_text() == "older"
    with pytest.raises(OSError):
        write(tmp_path / "missing" / "summary.json", result())


def test_numbers_of_numpy_are_plain_in_json():
    made = summary(result(record(A, 1.0), seed=np.int64(3), wall_seconds=np.float32("inf")))
    assert json.loads(json.dumps(made, allow_nan=False))["seed"] == 3
    assert made["wall_seconds"] is None


def test_processes_wait_when_they_are_not_busy():
    process = Account("runner", {"run": 3.0, "import": 1.0}, 5.0, 1.0)
    assert summary(result(processes=(process,)))["processes"] == [
        {
            "name": "runner",
            "busy": {"run": 3.0, "import": 1.0},
            "busy_seconds": 4.0,
            "waiting_seconds": 5.0,
            "starting_seconds": 1.0,
            "total_seconds": 10.0,
        }
    ]


def test_latency_of_repeats():
    assert Latency.of([3.0, 1.0, 2.0, 4.0, 5.0]) == Latency(3.0, 2.0)
    assert Latency.of([2.0]) == Latency(2.0, None), "one timing tells no spread"


@pytest.mark.parametrize(
    ("number", "text"),
    [(1234.5, "1230"), (99.96, "100"), (9.996, "10.0"), (0.9996, "1.00"), (0.04256, "0.0426")],
)
def test_three_digits(number, text):
    assert digits(number) == text


def test_unknown_and_zero_in_words():
    assert [digits(None), digits(inf), digits(0.0), clock(None), clock(3661)] == [
        "-", "-", "0", "-", "1:01:01"
    ]  # fmt: skip


def test_log_is_plain_rare_and_complete():
    now, stream = Clock(), io.StringIO()
    progress = Progress(now)
    with LogLines(progress, stream, Reporting(log_seconds=5.0)):
        progress.phase("searching")
        progress.began([A], None, None)
        progress.note("caf\u00e9\nis closed")
        for n in range(20):
            now.now += 1.0
            progress.proposed(A.digest, 1)
            progress.measured(record(A, 5.0 - 0.1 * n, DEFAULT if n == 0 else (n,)))
    lines = stream.getvalue().splitlines()
    assert stream.getvalue().isascii()
    assert lines[:2] == ["[0:00] searching", "[0:00] caf\\xe9 is closed"]
    assert len(lines) == 2 + 5, "after 1, 6, 11 and 16 seconds, and at the end"
    assert "20 measured, 0 failed, 1.00 a second" in lines[-1]
    assert "layers 10.0 -> 6.20 ms, 1.61x" in lines[-1]


def test_log_waits_for_the_plan_to_end_and_outlives_its_stream():
    stream = io.StringIO()
    progress = Progress()
    with LogLines(progress, stream):
        progress.began([A], None, None)
        progress.proposed(A.digest, 2)
        progress.measured(record(A, 1.0))
        assert stream.getvalue() == ""
        progress.measured(record(A, 1.0))
        assert "2 measured" in stream.getvalue()
        stream.close()
        progress.note("nobody hears this")
