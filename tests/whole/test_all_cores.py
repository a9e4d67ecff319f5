"""Tuning for all cores: everything else is frozen while a kernel is timed, and never for good.

The same holds for as many copies at once as there are cores.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from chameleon_ray.measure.cores import available
from tests.whole.command import Command, chameleon, records, refused, until

RANDOM = ("--explorer", "random", "--trials", "24", "--threads", "all")


def stopped(command: Command) -> set[int]:
    """The command's processes that stand still."""
    found = set()
    for pid in command.processes():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has just ended
            continue
        found |= {pid} if state == "T" else set()
    return found


def frozen(command: Command) -> set[int]:
    """Waits until some of the command's processes stand still; which they are, none if it ends."""
    seen = set[int]()
    until(lambda: seen.update(stopped(command)) or seen or command.process.poll() is not None, 120)
    return seen


def test_a_run_for_all_cores_freezes_what_is_not_timed(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = Command("tune", dense, *RANDOM, "--out", str(run))
    assert frozen(command)
    code, out, err = command.wait()
    assert (code, err) == (0, "")
    assert "Verified" in out
    assert "--threads all tunes" not in out
    assert command.orphans() == {}
    summary = json.loads((run / "summary.json").read_text())
    cores = len(available())
    assert json.loads(summary["target"])["num-cores"] == cores
    assert f'os.environ["TVM_NUM_THREADS"] = "{cores}"' in out
    assert len(records(run)) == 24


def test_what_is_frozen_ends_with_the_command(dense: str, tmp_path: Path) -> None:
    command = Command("tune", dense, *RANDOM, "--out", str(tmp_path / "run"))
    assert frozen(command)
    os.kill(command.process.pid, signal.SIGINT)
    code, _, err = command.wait()
    assert (code, err.split(".")[0]) == (130, "Stopped")
    assert command.orphans() == {}


def test_a_run_for_copies_at_once(dense: str, tmp_path: Path) -> None:
    cores = len(available())
    if cores < 2:
        pytest.skip("copies need cores of their own")
    run, copies = tmp_path / "run", ("--instances", str(cores))
    tuned = ("tune", dense, "--explorer", "random", "--trials", "24", *copies)
    code, out, err = chameleon(*tuned, "--compare", "onnxruntime", "--out", str(run))
    assert (code, err) == (0, "")
    assert "Verified" in out
    assert f"Tuned for {cores} copies that run at once, with 1 of {cores} cores each." in out
    summary = json.loads((run / "summary.json").read_text())
    assert json.loads(summary["target"])["num-cores"] == 1
    assert summary["device"].endswith(f", {cores} x 1 core")
    assert [one["instances"] for one in summary["comparison"]] == [cores]
    assert {record.device for record in records(run)} == {summary["device"]}
    code, out, err = chameleon("bench", str(run), "--compare", "onnxruntime", "--json")
    assert (code, err) == (0, "")
    assert [one["instances"] for one in json.loads(out)["comparison"]] == [cores]


def test_more_copies_than_cores(dense: str, tmp_path: Path) -> None:
    cores = len(available())
    given = ("--instances", str(cores + 1), "--out", str(tmp_path))
    code, err = refused("tune", dense, *given)
    assert code == 1
    assert f"--instances {cores + 1} take {cores + 1} cores, and this machine has" in err
    code, err = refused("tune", dense, "--target", "cuda:sm_90", *given)
    assert code == 1
    assert "--instances is for copies on a CPU's cores; leave it out for a GPU." in err


def test_more_threads_than_cores(dense: str, tmp_path: Path) -> None:
    cores = len(available())
    code, err = refused("tune", dense, "--threads", str(cores + 1), "--out", str(tmp_path))
    assert code == 1
    assert f"--threads {cores + 1}: this machine has" in err
    code, err = refused("tune", dense, "--threads", "most", "--out", str(tmp_path))
    assert code == 2
    assert "'most' is no number of cores, nor all." in err
