"""The figures of ``scripts/measure_overhead.py``."""

import dataclasses

import pytest

from scripts.measure_overhead import of_run, overhead
from tests.pure.test_database import record


def test_cores_that_always_build_or_run_have_a_ratio_of_one():
    """Two cores, one builds for a second while the other runs for one."""
    records = [record(n, build_seconds=1.0, run_seconds=1.0, finished=2.0 + n) for n in range(100)]
    figures = overhead(records[1:], 2, records[0].finished)
    assert figures["ratio"] == pytest.approx(1.0)
    assert figures["seconds"] == pytest.approx(1.0)


def test_waiting_counts():
    records = [record(n, build_seconds=0.5, run_seconds=0.5, finished=1.0 + n) for n in range(9)]
    records.append(dataclasses.replace(records[-1], finished=18.0))
    assert overhead(records, 1)["ratio"] == pytest.approx(1.8)


def test_a_folder_without_a_finished_run(tmp_path):
    with pytest.raises(SystemExit, match="holds no finished run"):
        of_run(tmp_path, 2)
