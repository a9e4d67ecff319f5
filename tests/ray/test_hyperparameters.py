"""The script that tunes the search itself: its groups are options, a small run comes to its end."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chameleon_ray.options import Search
from scripts import tune_hyperparameters as script

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "tune_hyperparameters.py"


def test_groups_are_options_and_try_the_default() -> None:
    for group, choices in script.GROUPS.items():
        base = script.BASES.get(group, Search())
        default = script.present(base, list(choices))
        assert script.replaced(base, default) == base
        for name, values in choices.items():
            assert default[name] in values, name
            assert len(set(values)) == len(values) > 1


def test_values_are_replaced_in_their_part() -> None:
    changed = script.replaced(Search(), {"gaussian.scale": 2.0, "plan": 3})
    assert changed == replace(Search(), plan=3, gaussian=replace(Search().gaussian, scale=2.0))


def test_tables_are_learnt_from_or_kept_back() -> None:
    assert not set(script.LEARNT) & set(script.HELD_OUT)
    assert all(table.exists() for table in (*script.LEARNT, *script.HELD_OUT))


def test_the_same_setting_is_no_better_than_itself() -> None:
    table = script.read_table(script.DATA / "resnet-6.parquet")
    job = script.Job(Search(), (table,), (0, 1), 20)
    same = script.compared(job, {}, {"plan": Search().plan})
    assert same["gain"] == 0.0
    assert same["better"] is False
    assert 0 < same["default"] == same["chosen"] <= 1


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_small_run(tmp_path: Path) -> None:
    tables = ("--tables", script.DATA / "resnet-6.parquet")
    kept = ("--held-out", script.DATA / "resnet-11.parquet", "--held-out-seeds", 1)
    small = ("--group", "sampling", "--trials", 3, "--measurements", 24, "--seeds", 2)
    done = run(*tables, *kept, *small, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    body = json.loads((tmp_path / "chosen.json").read_text())
    assert body["trials_made"] == 3
    assert body["trials"][0]["values"] == body["chosen"]
    assert body["default"] in [trial["values"] for trial in body["trials"]]
    assert all(0 < trial["quality"] <= 1 for trial in body["trials"])
    assert 0 < body["held_out"]["chosen"] <= 1


def test_bad_input_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where Ray Tune has been imported already."""
    (tmp_path / "file").write_text("")
    for arguments, words in (
        (("--tables", tmp_path / "missing"), "missing"),
        (("--trials", 0), "--trials must be at least 1"),
        (("--out", tmp_path / "file"), "cannot write there"),
    ):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--out", *map(str, (tmp_path, *arguments))])
        with pytest.raises(SystemExit) as end:
            script.main()
        status = end.value.code
        assert status not in (0, None)
        said = capsys.readouterr().err + (status if isinstance(status, str) else "")
        assert words in said.splitlines()[-1]
