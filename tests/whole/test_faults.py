"""Faults of a whole run: killed, interrupted, out of disk space, bereft of its workers."""

import os
import re
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from chameleon_ray.record import Record, Status
from tests.whole.command import SERIAL, SLOW, Command, chameleon, records, until

TRIALS = 28
RANDOM = ("--explorer", "random", "--trials", str(TRIALS))
ISOLATE = "chameleon_ray.measure.isolate"
PATIENCE = 120.0


def measured(run: Path) -> int:
    """Records on disk; parts may be merged meanwhile."""
    return len(list((run / "records").glob("part-*.parquet")))


def reaches(command: Command, run: Path, count: int) -> None:
    """Waits until a run under way has so many records."""
    came = until(lambda: measured(run) >= count or command.process.poll() is not None, PATIENCE)
    assert came, f"no {count} records in {PATIENCE:g} s"
    assert command.process.poll() is None, command.wait()


def lines(command: Command, words: str) -> list[str]:
    """Command lines of its processes that have these words."""
    return [line for line in command.processes().values() if words in line]


def assert_goes_on(before: list[Record], run: Path) -> None:
    """Everything recorded is still there, as it was, and nothing was measured twice."""
    after = records(run)
    kept = {(record.task, record.config): record for record in after}
    assert len(kept) == len(after)
    for record in before:
        assert kept[record.task, record.config] == record
    assert len({record.sequence for record in after}) == len(after)


def test_killed_then_interrupted_it_goes_on_where_it_was(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = Command("tune", dense, *RANDOM, "--out", str(run))
    reaches(first, run, 4)
    folder = Path(lines(first, "cluster/reaper.py")[0].split()[-1])
    assert folder.stat().st_mode & 0o777 == 0o700
    os.kill(first.process.pid, signal.SIGKILL)
    first.wait()
    assert first.orphans() == {}
    assert not folder.exists()
    before = records(run)
    assert len(before) >= 4

    second = Command("tune", dense, *RANDOM, "--out", str(run), "--resume")
    reaches(second, run, len(before) + 4)
    os.killpg(second.process.pid, signal.SIGINT)  # as a terminal does
    code, out, err = second.wait()
    assert (code, out) == (130, "")
    assert second.orphans() == {}
    assert_goes_on(before, run)
    before = records(run)
    said = re.fullmatch(
        r"Stopped\. (\d+) measurements are kept in (\S+) and no library yet; go on with: (.+)", err
    )
    assert said is not None, err
    assert int(said[1]) == len(before) < TRIALS
    assert said[2] == str(run)

    name, *arguments = shlex.split(said[3])
    assert name == "chameleon"
    code, out, err = chameleon(*arguments)
    assert (code, err) == (0, "")
    assert "Verified" in out
    assert_goes_on(before, run)
    assert len(records(run)) == TRIALS


def test_a_polite_kill_is_an_interruption(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = Command("tune", dense, *RANDOM, "--out", str(run))
    reaches(command, run, 4)
    os.kill(command.process.pid, signal.SIGTERM)
    code, out, err = command.wait()
    assert (code, out) == (130, "")
    assert re.fullmatch(r"Stopped\. \d+ measurements are kept in .*", err), err
    assert len(records(run)) >= 4
    assert command.orphans() == {}


def test_interrupted_before_anything_was_measured(tmp_path: Path) -> None:
    command = Command("tune", SLOW, *SERIAL, "--out", str(tmp_path / "run"))
    assert until(lambda: (tmp_path / "run" / ".lock").exists(), PATIENCE)
    os.killpg(command.process.pid, signal.SIGINT)
    code, out, err = command.wait()
    assert (code, out) == (130, "")
    assert err == "Stopped. Nothing was measured yet."
    assert command.orphans() == {}
    assert not (tmp_path / "run").exists()


def test_two_commands_do_not_share_a_directory(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = Command("tune", dense, *SERIAL, "--out", str(run))
    assert until(lambda: (run / ".lock").exists(), PATIENCE)
    code, _, err = chameleon("tune", dense, *SERIAL, "--out", str(run))
    os.kill(first.process.pid, signal.SIGINT)
    first.wait()
    assert code == 1
    assert "Another process is working in" in err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for about a dozen records."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_ends_the_run_and_keeps_its_records(dense: str, small_disk: Path) -> None:
    run = small_disk / "run"
    command = Command("tune", dense, *SERIAL, "--trials", str(TRIALS), "--out", str(run))
    code, out, err = command.wait()
    assert (code, out) == (1, "")
    said = re.fullmatch(
        r"Error: Writing to (\S+) failed: No space left on device\. "
        r"(\d+) measurements are kept in .* and no library yet; go on with: .*",
        err,
    )
    assert said is not None, err
    assert said[1] == str(run)
    assert int(said[2]) == len(records(run)) > 0
    assert command.orphans() == {}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def workers(command: Command) -> list[int]:
    """The children of builder and runner; the zygotes of the model's are the command's own."""
    isolates = [pid for pid, line in command.processes().items() if ISOLATE in line]
    children = [pid for pid in isolates if parent(pid) in isolates]
    return [pid for pid in children if parent(parent(pid)) != command.process.pid]


def test_it_survives_the_loss_of_its_workers(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = Command("tune", dense, *RANDOM, "--out", str(run))
    reaches(command, run, 3)
    children = workers(command)
    assert len(children) == 2, command.processes()
    actor = parent(parent(children[0]))
    for child in children:
        os.kill(child, signal.SIGKILL)
        reaches(command, run, measured(run) + 3)
    os.kill(actor, signal.SIGKILL)
    reaches(command, run, measured(run) + 3)
    (raylet,) = [pid for pid, line in command.processes().items() if "raylet/raylet " in line]
    os.kill(raylet, signal.SIGKILL)
    code, out, err = command.wait()
    assert code == 0, err
    assert "Verified" in out
    assert "raylet" not in out
    known = records(run)
    assert len(known) == len({(record.task, record.config) for record in known}) == TRIALS
    statuses = Counter(record.status for record in known)
    assert statuses[Status.CRASH] <= len(children)
    assert set(statuses) <= {"ok", "crash", "run_timeout", "build_timeout"}  # a busy machine
    assert command.orphans() == {}
