"""The footprint of a run: peak and growth with known answers, orphans, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from chameleon_ray.errors import UserError
from scripts.measure_footprint import Sample, figures, footprint, growth, kind_of, words

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_footprint.py"


def test_peak_is_of_all_processes_and_growth_of_the_search_only() -> None:
    ended = [float(second) for second in range(100, 1100)]  # one per second
    samples = [Sample(float(s), {"command": 400 + s // 4, "Ray": 500}) for s in range(0, 1200, 10)]
    samples.append(Sample(1250.0, {"command": 9000, "Ray": 1}))  # compiling the model
    body = figures(samples, ended)
    assert (body["peak_bytes"], body["peak_seconds"]) == (9001, 1250.0)
    assert list(body["peak_by_kind"]) == ["command", "Ray"]
    assert body["measurements"] == 1000
    assert body["search"]["bytes_per_1000"] == pytest.approx(250, rel=0.02)
    assert 900 < body["search"]["first_bytes"] < body["search"]["last_bytes"] < 1200
    assert "1000 measurements" in words({"model": "net", **body})


def test_a_flat_run_does_not_grow() -> None:
    found = growth([(count, 1000) for count in range(50, 100)])
    assert found == {"first_bytes": 1000, "last_bytes": 1000, "bytes_per_1000": 0.0}
    assert growth([(1, 10), (1, 20), (1, 30)]) is None
    assert growth([(1, 10)]) is None


def test_nothing_to_look_at_is_a_sentence() -> None:
    with pytest.raises(UserError, match="--interval"):
        figures([], [1.0])


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["ray::Worker.call()"], "ray::Worker.call"),
        (["ray::IDLE"], "ray::IDLE"),
        (
            ["python", "-c", "from chameleon_ray.measure.isolate import main", "5"],
            "builders, runner and model",
        ),
        (["/venv/bin/python", "-m", "chameleon_ray", "tune", "resnet-18"], "command"),
        (["/site-packages/ray/core/src/ray/raylet/raylet"], "Ray"),
        (["sleep", "1"], "others"),
        ([], "others"),
    ],
)
def test_processes_have_kinds(command: list[str], kind: str) -> None:
    assert kind_of(command) == kind


ORPHAN = """
import subprocess, sys
from scripts.measure_footprint import adopt, footprint
import psutil, time
adopt()
middle = "import subprocess; subprocess.Popen(['sleep', '30'])"
subprocess.run([sys.executable, "-c", middle], check=True)
found = [child for child in psutil.Process().children(recursive=True) if child.name() == "sleep"]
print(len(found), footprint(psutil.Process())["others"] > 0)
for child in found:
    child.kill()
"""


def test_orphans_are_still_counted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], cwd=SCRIPT.parents[1], capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "True"], done.stderr


def test_memory_that_is_taken_shows() -> None:
    program = "import time; kept = bytearray(b'x') * (64 << 20); print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        total = sum(footprint(psutil.Process()).values())
    finally:
        child.kill()
        child.wait()
    assert 64 << 20 <= total < 1 << 30


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["resnet-18", "--interval", "0"], "more than 0"),
        (["resnet-18", "--json", "nowhere/file.json"], "nowhere/file.json cannot be written"),
        (["resnet-18", "--out", "/"], "--out /: exists"),
    ],
)
def test_bad_arguments_are_a_sentence(arguments: list[str], sentence: str) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
