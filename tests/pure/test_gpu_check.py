"""What ``gpu_check.py`` is made of that needs no GPU: its file, its clock, its limits, its pack."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def test_entries_that_are_there_are_not_made_again_but_errors_are(tmp_path: Path) -> None:
    from gpu_report import Report

    def broken() -> None:
        raise ValueError("no\nluck")

    path, calls = tmp_path / "file.json", []
    report = Report(path)
    report.entry(("a", "b"), broken)
    assert json.loads(path.read_text()) == {"a": {"b": {"error": "ValueError: no luck"}}}
    again = Report(path)
    again.entry(("a", "b"), lambda: {"right": True})
    again.entry(("a", "b"), lambda: calls.append(1))
    assert again.fields == {"a": {"b": {"right": True}}}
    assert not calls


def test_what_is_wrong_is_found_at_any_depth() -> None:
    from gpu_report import wrongs

    part = {
        "dense": {"float16": {"right": False, "fault": "differs"}, "float32": {"right": True}},
        "torch": {"missing": "not here"},
        "tune": {"error": "it ended"},
        "seconds": 3.0,
    }
    assert list(wrongs(part, ("kernels",))) == [
        "kernels dense float16: differs",
        "kernels tune: it ended",
    ]


def test_the_clock_gives_single_calls_and_calls_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a GPU that takes 1 ms for a call, and a host that takes 0.2 ms to launch it."""
    import gpu_clock

    host = gpu = 0.0

    def call() -> None:
        nonlocal host, gpu
        host += 0.2e-3
        gpu = max(gpu, host) + 1e-3

    def wait() -> None:
        nonlocal host
        host = max(host, gpu)

    monkeypatch.setattr(gpu_clock, "time", SimpleNamespace(perf_counter=lambda: host))
    found = gpu_clock.sample(call, wait, 0.2)
    assert found.single_ms == pytest.approx([1.2] * len(found.single_ms))
    assert found.batch_ms == pytest.approx([20.2 / 20] * len(found.batch_ms))
    assert len(found.single_ms) > 3
    assert 0.2 <= host < 0.25
    summary = gpu_clock.summary([found, found])
    assert summary["samples"] == 2
    assert summary["single_spread"] == 0


def test_a_part_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, str(SCRIPTS / "gpu_check.py"), "--build-only", str(out)]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--budget", "0.1", "--grace", "0.9"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert time.monotonic() - began < 30
    found = json.loads((out / "gpu_check.json").read_text())
    assert found["parts"]["build"]["status"] == "stopped after 1 s"
    assert found["verdict"] == {"right": False, "wrong": [], "undone": ["build"]}


def test_what_a_crashed_part_leaves_behind_is_ended() -> None:
    """It would use the GPU while the next part times on it."""
    import gpu_supervisor
    import psutil

    line = "sleep 60 & echo $!; kill -9 $$"
    child = psutil.Popen(["bash", "-c", line], stdout=subprocess.PIPE, start_new_session=True)
    left = psutil.Process(int(child.stdout.readline()))
    child.wait()
    gpu_supervisor._end(child)
    deadline = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        while left.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        ("gpu_check.py", ["pytorch"], "there is no part 'pytorch'; the parts are: machine, "),
        ("gpu_pack.py", ["/proc/x"], "/proc/x cannot be made (No such file"),
        ("gpu_pack.py", ["x", "--mib", "0"], "parts of 0 MiB cannot be made; give --mib 1"),
        ("gpu_pack.py", ["."], ". exists already; give another folder."),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    script: str, options: list[str], said: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(SCRIPTS / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {said}")
    assert len(done.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir())


def test_headers_with_cudas_own_library_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cuda_toolkit

    from chameleon_ray.compiler.codegen import cuda_compiler

    bare, whole, compiler = (tmp_path / name for name in ("bare", "whole", "compiler"))
    (compiler / "lib").mkdir(parents=True)
    for root in (bare, whole):
        (root / "include").mkdir(parents=True)
        (root / "include" / "cuda_runtime.h").touch()
    (whole / "include" / "cccl").mkdir()
    monkeypatch.setattr(cuda_compiler, "nvidia_wheels", lambda: [compiler, bare])
    monkeypatch.setenv("CUDA_PATH", str(whole))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "nowhere"))
    assert cuda_toolkit.cuda_roots()[0] == whole
    environment = cuda_toolkit.toolkit()
    assert environment["CUDA_PATH"] == str(whole)
    assert f"--include-path={bare}/include" in environment["TVM_CUDA_NVRTC_EXTRA_OPTS"]
    assert str(compiler / "lib") in environment["LD_LIBRARY_PATH"].split(os.pathsep)


def test_metaschedule_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import bench_metaschedule

    job = bench_metaschedule.Job("net", "{}", ".", 1, 1, 1.0, 0, True, (0,), 0.0)
    assert [bench_metaschedule.over(job, now, True) for now in (59, 61)] == [False, True]
    assert [bench_metaschedule.over(job, now, False) for now in (61, 121)] == [False, True]
    strict = bench_metaschedule.Job("n", "{}", ".", 1, 1, 1.0, 0, True, (0,), 0.0, overtime=1.0)
    assert bench_metaschedule.over(strict, 61, False)


def test_a_pack_is_joined_and_says_what_is_missing(tmp_path: Path) -> None:
    import gpu_pack

    tree, folder, target = tmp_path / "tree", tmp_path / "pack", tmp_path / "target"
    folder.mkdir()
    tree.mkdir()
    noise = os.urandom(3 << 19)
    (tree / "noise").write_bytes(noise)
    gpu_pack.archive(tree, folder, 1, 0)
    gpu_pack.script(folder, ["pytest", "nobody-has-this"])
    assert [one.name for one in sorted(folder.glob("pack*"))] == [
        "pack.tar.xz.00",
        "pack.tar.xz.01",
    ]
    line = f'. "{folder}/unpack.sh" "{target}" && echo "$PYTHONPATH"'
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    missing, path = done.stdout.splitlines()
    assert missing == "missing there: nobody-has-this"
    assert path.split(os.pathsep)[0] == str(target)
    assert (target / "noise").read_bytes() == noise


def test_what_is_packed_is_stripped_and_can_be_loaded(tmp_path: Path) -> None:
    """``strip`` spoils the OpenBLAS of NumPy's wheels."""
    import gpu_pack
    import numpy as np

    place, at = Path(np.__file__).parent, Path("numpy/_core")
    (tmp_path / at).mkdir(parents=True)
    shutil.copytree(place.with_name("numpy.libs"), tmp_path / "numpy.libs")
    (core,) = (place / "_core").glob("_multiarray_umath*.so")
    shutil.copy(core, tmp_path / at)
    gpu_pack.strip(tmp_path)
    line = f"import ctypes; ctypes.CDLL({str(tmp_path / at / core.name)!r})"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if shutil.which("strip"):
        assert (tmp_path / at / core.name).stat().st_size < core.stat().st_size


def test_what_is_provided_is_not_packed() -> None:
    import gpu_pack

    found, needed = gpu_pack.closure({"torch", "nvidia-nccl-cu12"})
    names = {one.metadata["Name"] for one in found}
    assert {"apache-tvm", "ray", "numpy"} <= names
    assert "torch" not in names
    assert "torch" in needed
    assert "sympy" not in names, "only PyTorch needs it"
