"""Claims on devices: one process has one at a time, and it is free when that process ends."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chameleon_ray.measure import rendezvous
from chameleon_ray.measure.device_lock import claim

CLAIM = "import sys; from chameleon_ray.measure.device_lock import claim; print(claim(sys.argv[1]))"
HOLD = f"{CLAIM}; sys.stdout.flush(); sys.stdin.read()"


def elsewhere(program: str, name: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, name],
        env={"TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_link_in_the_place_of_a_lock_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    victim = tmp_path / "victim"
    rendezvous.place().mkdir(mode=0o700)
    (rendezvous.place() / "GPU-9.lock").symlink_to(victim)
    assert not claim("GPU-9")
    assert not victim.exists()


def test_a_device_is_one_processs_until_that_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other = elsewhere(HOLD, "GPU-1", tmp_path)
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    assert not claim("GPU-1")
    assert claim("GPU-0")
    assert claim("GPU-0")
    assert elsewhere(CLAIM, "GPU-0", tmp_path).communicate()[0] == "False\n"
    other.kill()
    other.communicate()
    assert claim("GPU-1")
