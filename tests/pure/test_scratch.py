"""Temporary directories of children: what a killed child has written there goes with it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.measure.scratch import machine_folder, outside
from tests.whole.command import until

SETTING = Setting("tests.pure.misdeeds:doer", "hello")
WAITING = """
import sys, time
from chameleon_ray.measure.isolate import Isolate, Setting
isolate = Isolate(Setting("tests.pure.misdeeds:doer", "hello"))
if sys.argv[1] == "warm":
    isolate.call(("write",), 60)
print(isolate._zygote.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_child_writes_to_a_directory_that_ends_with_it(folder: Path) -> None:
    with closing(Isolate(SETTING)) as isolate:
        written = Path(isolate.call(("write",), 10).value)
        assert written.is_relative_to(isolate.scratch)
        assert isolate.scratch.parent == folder
        assert written.exists()
        isolate.renew(1)
        assert list(isolate.scratch.iterdir()) == []


@pytest.mark.parametrize("job", ["write_and_hang", "write_and_crash"])
def test_a_killed_child_leaves_nothing(folder: Path, job: str) -> None:
    with closing(Isolate(SETTING)) as isolate:
        assert isolate.call((job,), 1.0).ending in (Ending.TIMEOUT, Ending.CRASH)
        assert list(isolate.scratch.iterdir()) == []
        assert Path(isolate.call(("write",), 10).value).exists()


def test_a_zygote_that_was_ended_leaves_nothing(folder: Path) -> None:
    with closing(Isolate(SETTING)) as isolate:
        for how in (signal.SIGTERM, signal.SIGKILL):
            isolate.call(("write",), 10)
            isolate._zygote.send_signal(how)
            isolate._zygote.wait()
            isolate.call(("greet", "you"), 10)  # its child is lost
            assert isolate.call(("write",), 10).value.startswith(str(isolate.scratch))
            assert list(folder.iterdir()) == [isolate.scratch]


@pytest.mark.parametrize("state", ["warm", "starting"])
def test_a_killed_parent_leaves_nothing(folder: Path, state: str) -> None:
    command = [sys.executable, "-c", WAITING, state]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        if state == "warm":
            assert len(list(folder.rglob("*"))) == 2
        parent.kill()
    assert until(lambda: not list(folder.iterdir()), 10)


def test_a_users_code_has_the_machines_directory(folder: Path) -> None:
    with closing(Isolate(SETTING)) as isolate:
        assert isolate.call(("places",), 10).value == (
            (str(isolate.scratch), str(isolate.scratch), str(folder)),
            (str(folder), str(folder), str(folder)),
        )


def test_outside_of_a_child_nothing_is_changed(folder: Path) -> None:
    assert machine_folder() == folder
    with outside():
        assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (str(folder), str(folder))
