"""Tuning for all cores: everything else is frozen while a kernel is timed, and never for good."""

import json
import os
import signal
from pathlib import Path

from chameleon_ray.measure.cores import available
from tests.whole.command import Command, chameleon, records, until

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


def test_a_run_for_all_cores_freezes_what_is_not_timed(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = Command("tune", dense, *RANDOM, "--out", str(run))
    assert until(lambda: stopped(command) or command.process.poll() is not None, 120)
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
    assert until(lambda: stopped(command) or command.process.poll() is not None, 120)
    os.kill(command.process.pid, signal.SIGINT)
    code, _, err = command.wait()
    assert (code, err.split(".")[0]) == (130, "Stopped")
    assert command.orphans() == {}


def test_more_threads_than_cores(dense: str, tmp_path: Path) -> None:
    cores = len(available())
    code, _, err = chameleon("tune", dense, "--threads", str(cores + 1), "--out", str(tmp_path))
    assert code == 1
    assert f"--threads {cores + 1}: this machine has" in err
    code, _, err = chameleon("tune", dense, "--threads", "most", "--out", str(tmp_path))
    assert code == 2
    assert "'most' is no number of cores, nor all." in err
