"""Turns at cores, and the commands that know of each other: with real locks of real processes."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chameleon_ray.measure import rendezvous
from chameleon_ray.measure.core_turns import turn
from chameleon_ray.measure.device_lock import claim
from chameleon_ray.measure.occupants import Occupant, occupying, others
from tests.whole.command import until

OWN = Occupant(os.getpid(), "chameleon tune net", "/runs/net", (0, 1), (2, 3))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Locks of this test alone; what is left of them fails it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not list(tmp_path.iterdir())


@contextmanager
def other(folder: Path, code: str) -> Iterator[subprocess.Popen]:
    """A process that runs ``code`` inside ``with`` and says so."""
    script = f"import time; {code}\n    print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.read(1)
        yield process
    finally:
        process.kill()
        process.wait()


TAKES = "from chameleon_ray.measure.core_turns import turn\nwith turn({}, 5):"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_lock_is_not_waited_for(make: Callable, own_folder: Path) -> None:
    rendezvous.place().mkdir(mode=0o700)
    paths = [rendezvous.place() / f"core-7{end}.lock" for end in ("", "-next")]
    for path in paths:
        make(path)
    began = time.monotonic()
    with turn((7,), 30.0) as alone:
        assert not alone
    assert time.monotonic() - began < 5
    for path in paths:
        path.unlink()
    rendezvous.leave()


def test_a_turn_waits_for_another_processs_and_has_an_end(own_folder: Path) -> None:
    with other(own_folder, TAKES.format((1, 2))):
        for _ in range(2):
            began = time.monotonic()
            with turn((2, 3), 0.2) as alone:
                assert not alone
            assert 0.2 <= time.monotonic() - began < 2
        with turn((3, 4), 5) as alone:
            assert alone
    with turn((1, 2), 5) as alone:  # who had it was killed
        assert alone


def test_who_was_stopped_in_a_turn_is_waited_for_once(own_folder: Path) -> None:
    with other(own_folder, TAKES.format((1,))) as process:
        process.send_signal(signal.SIGSTOP)
        for least, most in ((0.3, 5), (0, 0.3)):
            began = time.monotonic()
            with turn((1,), 0.3) as alone:
                assert not alone
            assert least <= time.monotonic() - began < most
        process.send_signal(signal.SIGCONT)
        assert until(lambda: "T" not in Path(f"/proc/{process.pid}/stat").read_text(), 5)
        began = time.monotonic()
        with turn((1,), 0.3) as alone:
            assert not alone
        assert time.monotonic() - began >= 0.3
    rendezvous.sweep()


def test_what_killed_processes_left_is_removed(own_folder: Path) -> None:
    with other(own_folder, TAKES.format((1, 2))):
        rendezvous.sweep()
        assert len(rendezvous.found()) == 2
    assert len(rendezvous.found()) == 2
    rendezvous.sweep()
    assert list(own_folder.iterdir()) == []


def test_who_waits_is_next(own_folder: Path) -> None:
    script = (
        "from chameleon_ray.measure.core_turns import turn\nimport time\n"
        "print(1, flush=True)\n"
        "for _ in range(5):\n    with turn((0,), 30) as alone: assert alone; time.sleep(0.02)"
    )
    environment = {**os.environ, "TMPDIR": str(own_folder)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE
    ) as second:
        assert second.stdout is not None
        second.stdout.read(1)
        mine = 0
        while second.poll() is None:
            with turn((0,), 30):
                time.sleep(0.02)
            mine += 1
    assert second.returncode == 0
    assert mine < 40  # taking turns, about five, and those while Python ends


@pytest.mark.parametrize("kind", ["link", "open to others", "file"])
def test_a_rendezvous_that_is_not_this_user_s_alone_is_left_as_it_is(
    own_folder: Path, kind: str
) -> None:
    assert rendezvous.unusable() == ""
    place, victim = rendezvous.place(), own_folder / "victim"
    if kind == "link":
        victim.mkdir()
        place.symlink_to(victim)
    elif kind == "file":
        place.touch()
    else:
        place.mkdir(mode=0o755)
    if kind != "file":
        (place / "commands").mkdir()
        (place / "commands" / "123456789").write_text("precious")
    assert str(place) in rendezvous.unusable()
    with occupying(OWN), turn((1,), 5) as alone:
        assert not alone
        assert not claim("GPU-1")
        assert others() == []
        rendezvous.sweep()
    left = [path.read_text() for path in place.glob("**/*") if path.is_file()]
    assert left == ([] if kind == "file" else ["precious"])
    place.unlink() if kind != "open to others" else shutil.rmtree(place)
    shutil.rmtree(victim, ignore_errors=True)


def test_only_entries_are_removed_from_the_list_of_commands(own_folder: Path) -> None:
    with occupying(OWN):
        folder = rendezvous.place() / "commands"
        (folder / "notes").touch()
        (folder / "123456789").touch()
        assert others() == []
        assert sorted(path.name for path in folder.iterdir()) == sorted(["notes", str(os.getpid())])
        (folder / "notes").unlink()


def test_a_folder_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with turn((0,), 5) as alone:
        assert not alone
    with occupying(OWN):
        assert others() == []


def test_an_entry_of_another_version_is_passed_over(own_folder: Path) -> None:
    code = (
        "import os; from chameleon_ray.measure.occupants import *\n"
        "with occupying(Occupant(os.getpid(), 'chameleon bench', '/runs/a', (0, 1), (2,))):"
    )
    with other(own_folder, code) as process:
        path = rendezvous.place() / "commands" / str(process.pid)
        path.write_text('{"process": 1}')
        assert others() == []
        process.kill()
        process.wait()
        with occupying(OWN):
            assert others() == []


def test_commands_know_of_those_that_live(own_folder: Path) -> None:
    code = (
        "import os; from chameleon_ray.measure.occupants import *\n"
        "with occupying(Occupant(os.getpid(), 'chameleon bench', '/runs/a', (0, 1), (2,))):"
    )
    with occupying(OWN), other(own_folder, code) as process:
        (found,) = others()
        assert found == Occupant(process.pid, "chameleon bench", "/runs/a", (0, 1), (2,))
        assert found.told(OWN) == (
            f"Another command, process {process.pid} (chameleon bench, in /runs/a), times on the "
            "same cores (2): the two take turns, so each of them measures less."
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert others() == []


def test_commands_that_may_have_the_same_gpus_are_told() -> None:
    own = replace(OWN, timing=(), gpus=("GPU-1", "GPU-2"))
    with occupying(replace(own, process=os.getpid())):
        assert others() == []
    assert "have the same GPUs (GPU-2)" in replace(own, process=7, gpus=("GPU-2",)).told(own)
    assert replace(own, process=7, gpus=("GPU-3",)).told(own) == ""
    assert replace(OWN, process=7, timing=(9,)).told(own) == ""


def test_builds_on_cores_that_time_are_told() -> None:
    builds = replace(OWN, process=7, building=(2, 4), timing=(5,))
    assert "builds on cores that this one times on (2)" in builds.told(OWN)
    assert replace(OWN, process=7, building=(4,), timing=(5,)).told(OWN) == ""
