"""The comparison with MetaSchedule: curves and ratios with known answers, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench_curves import TITLES, Event, curve, ratios, reached, table, timed

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_vs_metaschedule.py"
WEIGHTS = {"a": 2.0, "b": 1.0}


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_curve_is_the_weighted_sum_of_the_best() -> None:
    events = [
        Event(1.0, "a", 0.004),
        Event(5.0, "b", 0.001),
        Event(3.0, "b", None),
        Event(2.0, "b", 0.003),
        Event(4.0, "a", 0.005),
    ]
    points = curve(events, WEIGHTS)
    assert [point[:2] for point in points] == [(2, 2.0), (5, 5.0)]
    assert [point[2] for point in points] == pytest.approx([11.0, 9.0])


def test_no_curve_before_every_layer_has_a_latency() -> None:
    assert curve([Event(1.0, "a", 0.004), Event(2.0, "b", None)], WEIGHTS) == []


def test_a_task_that_was_never_measured_is_left_out() -> None:
    events = [Event(1.0, "a", 0.004), Event(2.0, "b", None)]
    assert timed(events, {**WEIGHTS, "c": 1.0}) == {"a": 2.0}
    assert curve(events, timed(events, WEIGHTS)) == [(1, 1.0, 8.0)]


def test_ratios_are_theirs_over_ours() -> None:
    theirs = [(10, 20.0, 30.0), (40, 100.0, 12.0)]
    ours = [(4, 5.0, 20.0), (8, 10.0, 11.0), (50, 60.0, 6.0)]
    found = ratios(theirs, ours)
    assert found == {"time_ratio": 10.0, "measurement_ratio": 5.0, "latency_ratio": 2.0}
    assert reached(ours, 12.0) == (8, 10.0, 11.0)
    back = ratios(ours, theirs)
    assert (back["time_ratio"], back["measurement_ratio"]) == (None, None)
    assert back["latency_ratio"] == 0.5


def test_table_has_a_cell_per_title() -> None:
    side = {"measurements": 3, "layers_ms": 2.0, "trial_seconds": 0.5}
    side |= {"model_ms": {"median": 2.5, "spread": 0.1}}
    body = {"model": "net", "metaschedule": side, "chameleon": side, "time_ratio": None}
    body |= {"measurement_ratio": None, "latency_ratio": 1.0, "model_latency_ratio": 1.0}
    lines = table(body).splitlines()
    assert [line.count("|") for line in lines] == [len(TITLES) + 1] * 3
    assert lines[2].count("not reached") == 2


def test_nothing_is_mixed_with_other_arguments(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"model": "vgg-16"}))
    done = bench("resnet-18", "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: --out ")
    assert "other arguments" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--our-minutes", "0"], "more than 0"),
        (["--threads", "9999"], "--threads 9999"),
        (["--json", "nowhere/file.json"], "nowhere/file.json cannot be written"),
    ],
)
def test_bad_arguments_are_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = bench("resnet-18", "--out", tmp_path / "out", *arguments)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
