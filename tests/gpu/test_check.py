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
PLUS_ONE = "expected=(*one.expected[:-1], 1 + one.expected[-1])"
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


def copied(prebuilt: Path, folder: Path) -> Path:
    shutil.copytree(prebuilt, folder)
    return folder


def spoil(file: Path, change: str) -> None:
    """Changes fields of a set of kernels, ``one``, in a process that finds the scripts."""
    code = (
        "import sys, pickle, dataclasses, pathlib\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "one = pickle.loads(path.read_bytes())\n"
        f"path.write_bytes(pickle.dumps(dataclasses.replace(one, {change})))\n"
    )
    environment = {**os.environ, **simulated()}
    environment["PYTHONPATH"] = f"{Path(SCRIPT).parent}:{environment['PYTHONPATH']}"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, env=environment)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("/proc/x",), "/proc/x cannot be made (No such file or directory); give another folder."),
        (("x", "--arch", "h100"), "The architecture 'h100' is no GPU's; use one of: sm_70, "),
        (("x", "--only", "typo"), "no kernel has 'typo' in its name; names are of a kind (add, "),
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
    wrong = copied(prebuilt, tmp_path / "wrong")
    spoil(wrong / "add-float16-sketches.kernels", PLUS_ONE)
    done = check("kernels", "--out", tmp_path / "out", "--prebuilt", wrong, "--only", "add float16")
    assert done.returncode == 1
    assert "kernels add float16 sketches" in done.stdout
    assert "something is not right" in done.stdout


def test_a_set_of_which_nothing_compiles_is_not_right(prebuilt: Path, tmp_path: Path) -> None:
    """Only its default is left."""
    wrong = copied(prebuilt, tmp_path / "wrong")
    left = "artifacts=one.artifacts[:1], tried=24, failures={'build_error: no': 24}"
    spoil(wrong / "add-float16-sketches.kernels", left)
    done = check("kernels", "--out", tmp_path / "out", "--prebuilt", wrong, "--only", "add float16")
    assert done.returncode == 1
    fault = "kernels add float16 sketches: 0 of 24 configurations compile (build_error: no)"
    assert fault in done.stdout.splitlines()


def test_a_template_that_fits_no_more_is_not_right(prebuilt: Path, tmp_path: Path) -> None:
    wrong = copied(prebuilt, tmp_path / "wrong")
    (wrong / "dense-float16-cuda_tensor_core.kernels").unlink()
    done = check(
        *("kernels", "--out", tmp_path / "out", "--prebuilt", wrong, "--only", "dense float16")
    )
    assert done.returncode == 1
    assert (
        "kernels dense float16 cuda_tensor_core: the template cuda_tensor_core does not fit dense "
        "float16, or its kernels were not compiled"
    ) in done.stdout.splitlines()


def test_kernels_of_other_sources_are_refused(prebuilt: Path, tmp_path: Path) -> None:
    old = copied(prebuilt, tmp_path / "old")
    (old / "sources.json").write_text('{"sources": "0123456789ab", "only": []}')
    done = check("kernels", "--out", tmp_path / "out", "--prebuilt", old)
    assert done.returncode == 1
    said = f"Error: the kernels in {old} were made by other sources (0123456789ab, these are "
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_own_kernels_of_other_sources_are_refused(prebuilt: Path, tmp_path: Path) -> None:
    old = copied(prebuilt, tmp_path / "prebuilt")
    (old / "sources.json").write_text('{"sources": "0123456789ab", "only": []}')
    done = check("kernels", "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: the kernels in {old} were made by other sources")


def test_verdicts_of_other_sources_are_made_again(prebuilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ("kernels", "--out", out, "--prebuilt", prebuilt, "--only", "add float16")
    assert check(*given).returncode == 0
    assert "at most" not in check(*given).stdout
    file = out / "gpu_check.json"
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, "sources": "0123456789ab"}))
    assert "kernels: at most" in check(*given).stdout
    assert json.loads(file.read_text())["sources"] == found["sources"]
    more = (*given[:-1], "add float32")
    assert "kernels: at most" in check(*more).stdout
    assert set(json.loads(file.read_text())["parts"]["kernels"]["add"]) == {"float16", "float32"}


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
