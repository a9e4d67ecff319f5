"""A rehearsal of ``scripts/gpu_check.py`` on a simulated GPU, with few kernels and little time."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.conftest import simulated

SCRIPT = str(Path(__file__).parents[2] / "scripts" / "gpu_check.py")
PARTS = ("machine", "torch", "preflight", "kernels", "faults", "timing")
ONLY = ("--only", "add float", "dense float16")


def check(*arguments: object, gpus: str | None = None) -> subprocess.CompletedProcess[str]:
    """The script in a process that finds a simulated GPU."""
    environment = {**os.environ, **simulated()}
    if gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpus
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def prebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kernels that were compiled without looking at a GPU."""
    folder = tmp_path_factory.mktemp("check") / "prebuilt"
    done = check("--build-only", folder, *ONLY, "--seconds", 200, gpus="")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("/proc/x",), "/proc/x cannot be made (No such file or directory); give another folder."),
        (("x", "--arch", "h100"), "The architecture 'h100' is no GPU's; use one of: sm_70, "),
    ],
)
def test_bad_input_is_refused_in_one_sentence(options: tuple[str, ...], said: str) -> None:
    done = check("--build-only", *options)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_all_parts_are_right_and_none_is_run_twice(prebuilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ("--out", out, "--prebuilt", prebuilt, "--small", "--budget", 10, "--grace", 60)
    done = check(*PARTS, *given)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((out / "gpu_check.json").read_text())
    assert found["verdict"] == {"right": True, "wrong": [], "undone": []}
    parts: dict[str, Any] = found["parts"]
    assert {part["status"] for part in parts.values()} == {"done"}
    assert "has no CUDA here" in parts["torch"]["torch"]["missing"]
    assert parts["preflight"]["gpu"]["device"]
    for dtype in ("float32", "float16"):
        assert len(parts["kernels"]["add"][dtype]["sketches"]["contest"]) == 3
    faults = {"hangs": "timeout", "writes out of bounds": "error", "traps": "error"}
    for name, ending in faults.items():
        assert parts["faults"][name]["status"] == f"run_{ending}"
    assert set(parts["timing"]["add"]["float32"]["sketches"]) == {
        "evaluator_cold",
        "events_cold",
        "events_cold_queued",
        "events_warm",
        "host_warm",
    }
    again = check(*PARTS, *given)
    assert again.returncode == 0
    assert "at most" not in again.stdout


def test_a_kernel_that_computes_something_else_is_found(prebuilt: Path, tmp_path: Path) -> None:
    """The outputs to expect of one set of kernels are those of another layer."""
    wrong, out = tmp_path / "wrong", tmp_path / "out"
    shutil.copytree(prebuilt, wrong)
    spoil = (
        "import sys, pickle, dataclasses, pathlib\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "one = pickle.loads(path.read_bytes())\n"
        "*inputs, last = one.expected\n"
        "spoilt = dataclasses.replace(one, expected=(*inputs, last + 1))\n"
        "path.write_bytes(pickle.dumps(spoilt))\n"
    )
    environment = {**os.environ, **simulated()}
    environment["PYTHONPATH"] = f"{Path(SCRIPT).parent}:{environment['PYTHONPATH']}"
    command = [sys.executable, "-c", spoil, str(wrong / "add-float16-sketches.kernels")]
    subprocess.run(command, check=True, env=environment)
    done = check("kernels", "--out", out, "--prebuilt", wrong, "--only", "add float16")
    assert done.returncode == 1
    assert "kernels add float16 sketches" in done.stdout
    assert "something is not right" in done.stdout


def test_a_folder_without_kernels_is_not_right(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = check("kernels", "--prebuilt", tmp_path, "--out", out)
    assert done.returncode == 1
    assert "kernels is not done" in done.stdout
    part = json.loads((out / "gpu_check.json").read_text())["parts"]["kernels"]
    assert "holds no kernels; --build-only makes them" in part["log"]


def test_without_a_gpu_one_sentence_ends_the_script(tmp_path: Path) -> None:
    done = check("kernels", "--out", tmp_path / "out", gpus="")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no GPU can be used here: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
