"""Scaling over recorded devices: figures with known answers, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))  # the scripts import each other by their bare names

from bench_devices import Run, tasks_of, within  # noqa: E402
from bench_scaling import TITLES, counts, figures, recordings, table_of  # noqa: E402

from chameleon_ray.api.algorithms import UserError  # noqa: E402
from tests.pure.recordings import write_records  # noqa: E402


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "bench_scaling.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def one(devices: int, measurements: int, device_seconds: float) -> Run:
    return Run(devices, 4, 10.0, measurements, device_seconds, {"driver": 0.1})


def test_measurements_count_where_they_end_and_devices_while_they_measure() -> None:
    ended = [(2.0, 1.5), (4.0, 2.5), (9.0, 4.5), (14.0, 6.0)]
    count, seconds = within(ended, 3.0, 10.0)
    assert count == 2
    assert seconds == pytest.approx(1.0 + 4.5 + 2.0)
    assert within(ended, 20.0, 30.0) == (0, 0.0)


def test_layers_repeat_the_tables_and_are_distinct(tmp_path: Path) -> None:
    tables = recordings([write_records(tmp_path / "a"), write_records(tmp_path / "b")])
    tasks = tasks_of(tables, 5)
    assert [task.name for task in tasks] == ["a", "b", "a", "b", "a"]
    assert len({task.digest for task in tasks}) == 5
    assert all(int(task.digest, 16) >= 0 for task in tasks)


def test_ratios_are_over_the_fewest_devices_of_the_same_round() -> None:
    runs = [one(1, 20, 8.0), one(4, 90, 36.0), one(1, 30, 10.0), one(4, 110, 38.0)]
    first, second = figures(runs)["points"]
    assert first["speedup"] == {"median": 1.0, "spread": 0.0}
    assert second["speedup"]["median"] == pytest.approx((36 / 8 + 38 / 10) / 2)
    assert second["measurement_ratio"]["median"] == pytest.approx((90 / 20 + 110 / 30) / 2)
    assert second["busy_share"]["median"] == pytest.approx(0.925)
    assert second["measurements_per_second"]["median"] == pytest.approx(10.0)


def test_without_one_device_the_ratio_is_per_device_of_the_fewest() -> None:
    (first, second) = figures([one(2, 40, 16.0), one(8, 160, 64.0)])["points"]
    assert first["speedup"]["median"] == pytest.approx(2.0)
    assert second["speedup"]["median"] == pytest.approx(8.0)


def test_table_has_a_cell_per_title() -> None:
    lines = table_of(figures([one(1, 20, 8.0), one(2, 40, 16.0)])["points"]).splitlines()
    assert [line.count("|") for line in lines] == [len(TITLES) + 1] * 4


def test_formulas_are_no_devices() -> None:
    data = Path(__file__).parents[1] / "data"
    with pytest.raises(UserError, match="how long"):
        recordings([data / "cuda-model.parquet"])
    assert counts("4,1,4") == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--devices", "0"], "--devices"),
        (["--devices", "one"], "--devices"),
        (["--seconds", "0"], "more than 0"),
        (["--json", "nowhere/file.json"], "nowhere/file.json cannot be written"),
        (["nowhere.parquet"], "There is no nowhere.parquet"),
    ],
)
def test_bad_arguments_are_a_sentence(arguments: list[str], sentence: str) -> None:
    done = bench(*arguments)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
