"""Temporary directories of children: what a killed child has written there goes with it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.measure.scratch import Scratch, machine_folder, outside, sweep
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
        assert written.parent == isolate.revived()
        assert written.parent.parent == folder
        assert written.exists()
        isolate.renew(1)
        assert list(written.parent.iterdir()) == []


@pytest.mark.parametrize("job", ["write_and_hang", "write_and_crash"])
def test_a_killed_child_leaves_nothing(folder: Path, job: str) -> None:
    with closing(Isolate(SETTING)) as isolate:
        assert isolate.call((job,), 1.0).ending in (Ending.TIMEOUT, Ending.CRASH)
        assert list(isolate.revived().iterdir()) == []
        assert Path(isolate.call(("write",), 10).value).exists()


def test_a_zygote_that_was_ended_leaves_nothing(folder: Path) -> None:
    with closing(Isolate(SETTING)) as isolate:
        for how in (signal.SIGTERM, signal.SIGKILL):
            isolate.call(("write",), 10)
            isolate._zygote.send_signal(how)
            isolate._zygote.wait()
            place = isolate.revived()
            assert isolate.call(("write",), 10).value.startswith(str(place))
            assert list(folder.iterdir()) == [place]


def test_a_killed_parent_leaves_nothing(folder: Path) -> None:
    command = [sys.executable, "-c", WAITING, "warm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(list(folder.rglob("*"))) == 2
        parent.kill()
    assert until(lambda: not list(folder.iterdir()), 10)


@pytest.mark.parametrize("state", ["warm", "starting"])
def test_what_is_left_where_all_are_killed_is_removed_by_the_next_command(
    folder: Path, state: str
) -> None:
    command = [sys.executable, "-c", WAITING, state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        zygote = int(parent.stdout.readline())
        sweep()
        assert len(list(folder.iterdir())) == 1
        for pid in (zygote, parent.pid):
            os.kill(pid, signal.SIGSTOP)  # so that neither can do anything any more
        os.kill(zygote, signal.SIGKILL)
        parent.kill()
    assert until(lambda: sweep() or not list(folder.iterdir()), 10)


def test_nothing_of_others_is_removed(folder: Path) -> None:
    with Scratch() as own:
        name, victim = own.name, folder / "victim"
    (victim / "kept").mkdir(parents=True)
    (folder / name).symlink_to(victim)
    sweep()
    assert (victim / "kept").exists()
    (folder / name).unlink()
    (folder / name).mkdir(mode=0o755)
    (folder / name / "kept").touch()
    sweep()
    assert (folder / name / "kept").exists()
    shutil.rmtree(folder / name)
    (folder / name).write_text("a file")
    sweep()
    assert (folder / name).exists()
    shutil.rmtree(victim)
    (folder / name).unlink()


def test_a_users_code_has_the_machines_directory(folder: Path) -> None:
    with closing(Isolate(SETTING)) as isolate:
        assert isolate.call(("places",), 10).value == (
            (str(isolate.revived()), str(isolate.revived()), str(folder)),
            (str(folder), str(folder), str(folder)),
        )


def test_outside_of_a_child_nothing_is_changed(folder: Path) -> None:
    assert machine_folder() == folder
    with outside():
        assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (str(folder), str(folder))
