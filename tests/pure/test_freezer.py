"""Freezers: what has joined stands still while something is timed, and nothing else does."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from chameleon_ray import folder_lock
from chameleon_ray.measure import rendezvous
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.isolate import Ending, Isolate, Setting

JOINING = """
import sys, time
from chameleon_ray.measure.freezer import Freezer
Freezer(sys.argv[1]).join()
print("joined", flush=True)
while True:
    time.sleep(0.01)
"""


class Worker:
    """Does jobs of known length."""

    def __call__(self, job):
        return getattr(self, job[0])(*job[1:])

    def work(self, seconds):
        """Uses so much CPU time; returns when it was over."""
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return time.monotonic()

    def hang(self):
        while True:
            pass


def worker(_):
    return Worker()


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    made = Freezer(f"test-{uuid4().hex}")
    yield made
    made.close()
    assert not (rendezvous.place() / made._folder).exists()


@pytest.fixture
def joined(freezer: Freezer) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", JOINING, freezer.name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"joined\n"
    yield process
    process.kill()
    process.wait()


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def becomes(pid: int, states: str) -> bool:
    """Waits until a process is in one of some states."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if state(pid) in states:
            return True
        time.sleep(0.005)
    return False


def test_what_has_joined_stands_still_for_the_length_of_a_block(freezer, joined):
    with freezer.frozen():
        assert becomes(joined.pid, "T")
    assert becomes(joined.pid, "RS")


def test_it_goes_on_after_an_error_in_the_block(freezer, joined):
    with pytest.raises(ZeroDivisionError), freezer.frozen():
        raise ZeroDivisionError
    assert becomes(joined.pid, "RS")


def test_what_a_lost_process_has_stopped_goes_on(freezer, joined):
    os.kill(joined.pid, signal.SIGSTOP)
    assert becomes(joined.pid, "T")
    freezer.thaw()
    assert becomes(joined.pid, "RS")


def test_a_process_that_ended_is_forgotten_and_its_id_never_used(freezer, joined):
    joined.kill()
    joined.wait()
    another = subprocess.Popen(["sleep", "60"])
    try:
        (path,) = rendezvous.found(freezer._folder)
        path.rename(path.with_name(str(another.pid)))  # as if the id were used again
        with freezer.frozen():
            assert state(another.pid) != "T"
        assert rendezvous.found(freezer._folder) == []
    finally:
        another.kill()
        another.wait()


def test_a_file_that_is_removed_before_it_is_locked_is_made_again(freezer, monkeypatch):
    """As when another process looks for members right then."""
    lock, removed = fcntl.flock, list[int]()

    def late(file, how):
        if not removed:
            removed.append(os.getpid())
            assert freezer.living() == []
        lock(file, how)

    monkeypatch.setattr(folder_lock.fcntl, "flock", late)
    freezer.join()
    monkeypatch.undo()
    path = rendezvous.place() / freezer._folder / str(os.getpid())
    with path.open("a") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path.unlink()


def test_the_process_that_times_and_other_sessions_go_on(freezer, joined):
    other = Freezer(f"test-{uuid4().hex}")
    with other.frozen():
        assert state(joined.pid) != "T"
    freezer.join()
    assert os.getpid() not in map(abs, freezer.living())
    with freezer.frozen():  # or nothing comes after it
        assert becomes(joined.pid, "T")
    os.unlink(rendezvous.place() / freezer._folder / str(os.getpid()))


def test_a_frozen_child_loses_none_of_its_time(freezer):
    child = Isolate(Setting(f"{__name__}:worker", freezer=freezer))
    try:
        child.warm()
        with freezer.frozen():
            began = time.monotonic()
            pid = child._pid
            assert becomes(pid, "T")
        assert becomes(pid, "RS")

        def freeze() -> None:
            time.sleep(0.05)
            with freezer.frozen():
                time.sleep(0.6)

        thread = threading.Thread(target=freeze)
        thread.start()
        done = child.call(("work", 0.2), 0.4)
        thread.join()
        assert done.ending is Ending.OK, done
        assert done.value - began > 0.6
    finally:
        child.close()


def test_a_child_that_never_ends_is_stopped_by_its_own_time(freezer):
    child = Isolate(Setting(f"{__name__}:worker", freezer=freezer))
    try:
        assert child.call(("hang",), 0.2).ending is Ending.TIMEOUT
        assert child.call(("work", 0.01), 5).ending is Ending.OK
    finally:
        child.close()


def test_what_killed_sessions_left_is_removed(
    freezer: Freezer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of those that join
    ended = Freezer(f"test-{uuid4().hex}")
    for one in (freezer, ended):
        command = [sys.executable, "-c", JOINING, one.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if one is freezer:
                rendezvous.sweep()
                assert freezer.living() == [process.pid]
            process.kill()
    assert rendezvous.found(ended._folder)
    rendezvous.sweep()
    assert not rendezvous.found()


def test_a_sweep_removes_nothing_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    victim, own = tmp_path / "victim", rendezvous.place()
    victim.mkdir()
    (victim / "7").touch()
    own.mkdir(mode=0o700)
    (own / "linked.freezer").symlink_to(victim)
    strange = own / "strange.freezer"
    strange.mkdir()
    os.mkfifo(strange / "1")
    (strange / "2").symlink_to(victim / "7")
    rendezvous.sweep()
    assert (victim / "7").exists()
    assert sorted(path.name for path in strange.iterdir()) == ["1", "2"]
