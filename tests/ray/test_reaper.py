"""A private Ray's processes and folder go with the command, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from select import select

import pytest

from chameleon_ray.cluster import session_folder as folder_module
from chameleon_ray.cluster.reaper import MARK, STUCK, TOLD, marked
from chameleon_ray.cluster.session_folder import session_folder
from chameleon_ray.errors import UserError
from chameleon_ray.pool import PoolError
from tests.whole.command import until

COMMAND = """
import os, subprocess, sys, time
from pathlib import Path
from chameleon_ray.cluster.reaper import MARK, reaped
folder = Path(sys.argv[1])
with reaped(folder, 30.0):
    marked = {**os.environ, MARK: str(folder)}
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=marked)
    print("ready", flush=True)
    if sys.argv[2] == "stay":
        time.sleep(600)
"""

LOSES = """
import subprocess, sys, time
from pathlib import Path
from chameleon_ray.cluster.reaper import OVER, reaped
with reaped(Path(sys.argv[1]), 1.0) as tell:
    server = subprocess.Popen(["sleep", "600"])
    tell(f"server {server.pid}")
    time.sleep(2)
    if sys.argv[2] == OVER:
        tell(OVER)
    server.kill()
    time.sleep(4)
    print("went on")
"""


def command(folder: Path, how: str) -> subprocess.Popen[str]:
    folder.mkdir()
    words = [sys.executable, "-c", COMMAND, str(folder), how]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_outlives_a_killed_command_is_ended_and_its_end_is_told(tmp_path: Path) -> None:
    process = command(tmp_path / "ray", "stay")
    assert len(marked(str(tmp_path / "ray"))) == 1
    process.kill()
    process.wait()
    assert process.stderr is not None
    assert process.stderr.readline() == TOLD.decode()
    assert until(lambda: not marked(str(tmp_path / "ray")), 15)
    assert until(lambda: not (tmp_path / "ray").exists(), 5)


@pytest.mark.parametrize(
    ("how", "ends"),
    [("stuck", (-signal.SIGKILL, "", STUCK.format("server", 1))), ("over", (0, "went on\n", ""))],
)
def test_a_command_that_goes_on_without_its_server_is_ended(
    how: str, ends: tuple[int, str, str], tmp_path: Path
) -> None:
    words = [sys.executable, "-c", LOSES, str(tmp_path / "ray"), how]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == ends


def test_nobody_has_to_read_what_it_says(tmp_path: Path) -> None:
    process = command(tmp_path / "ray", "stay")
    assert process.stderr is not None
    with open(f"/proc/{process.pid}/fd/2", "wb", buffering=0) as full:
        os.set_blocking(full.fileno(), False)
        while full.write(bytes(4096)):
            pass
    process.kill()
    process.wait()
    assert until(lambda: not (tmp_path / "ray").exists(), 20)


def test_it_leaves_all_alone_where_the_command_ends_by_itself(tmp_path: Path) -> None:
    process = command(tmp_path / "ray", "go")
    assert process.wait(20) == 0
    assert select([process.stderr], [], [], 0)[0] == [], "it said nothing"
    time.sleep(0.5)
    (left,) = marked(str(tmp_path / "ray"))
    os.kill(left, signal.SIGKILL)
    assert (tmp_path / "ray").exists()
    assert os.environ.get(MARK) != str(tmp_path / "ray")  # others may be open


def test_the_folder_is_private_and_goes_but_for_logs_of_workers_that_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/nonexistent")
    with session_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "log").write_text("")
    assert not folder.exists()
    with pytest.raises(UserError), session_folder() as folder:
        raise UserError("something else")
    assert not folder.exists()
    told = pytest.raises(PoolError, match=r"workers died\. Ray's logs are kept in /")
    with told, session_folder() as folder:
        raise PoolError("3 workers died.")
    assert folder.exists()
    folder.rmdir()


def test_a_disk_without_room_is_told_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LEAST", 1 << 80)
    with pytest.raises(UserError, match="MiB of room and a path of at most"), session_folder():
        pass
