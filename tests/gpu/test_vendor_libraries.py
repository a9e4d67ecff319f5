"""Vendor's libraries that are missing or others, the glue's build, and models that call them.

Each question is put to a process of its own, as a library is opened once in a process.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chameleon_ray.api.session_model import circumstances_of
from chameleon_ray.compiler import gpu_versions
from chameleon_ray.compiler.kinds import resolve
from tests.gpu.vendor.build import environment, standins

TROUBLES = """
import json
from chameleon_ray.compiler.codegen.vendor_glue import troubles
print(json.dumps(troubles()))
"""
LOAD = """
import sys
import numpy as np
import tvm
from tvm import relax
library = tvm.runtime.load_module(sys.argv[1])
assert library.get_function("vendor_libraries", query_imports=True)() == "cuBLASLt"
run = relax.VirtualMachine(library, tvm.cpu())["main"]
x = np.arange(60, dtype="float32").reshape(4, 15) / 60
out = run(tvm.runtime.tensor(x)).numpy()
assert np.abs(out - np.maximum(x @ np.ones((15, 6)) - 3, 0)).max() < 1e-5
"""
MODEL = """
import json, sys
from pathlib import Path
import numpy as np
import tvm
from tvm import relax
from dataclasses import replace
from chameleon_ray.compiler.apply import compile_model, schedule_layers
from chameleon_ray.compiler.codegen.vendor_call import called
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.vendor import vendor_config
from tests.tvm import layers
builder = relax.BlockBuilder()
x = relax.Var("x", relax.TensorType((4, 15), "float32"))
with builder.function("main", [x]):
    with builder.dataflow():
        sums = relax.op.matmul(x, relax.const(np.ones((15, 6), "float32")))
        sums = relax.op.add(sums, relax.const(np.full(6, -3, "float32")))
        result = builder.emit_output(builder.normalize(relax.op.nn.relu(sums)))
    builder.emit_func_output(result)
kind = replace(LLVM, vendor_call=called)
low = lower(builder.get(), layers.tvm_target(), kind, "NCHW")
(task,) = extract(low, layers.target(), kind)
winners = {task.digest: vendor_config("cuBLASLt", 0)}
tuned, applied = schedule_layers(low, {task.digest: task}, winners, kind)
assert applied == set(winners)
compile_model(tuned, layers.target(), kind, Path(sys.argv[1]))
"""


def asked(code: str, env: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    quick = "import sys; sys.modules['torch'] = None\n"  # which TVM would import
    command = [sys.executable, "-c", quick + code, *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def said(env: dict[str, str]) -> dict[str, str]:
    done = asked(TROUBLES, env)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def without(folder: Path, *names: str) -> Path:
    """A folder with the stand-ins but for some of them."""
    folder.mkdir()
    for file in standins().iterdir():
        if file.name not in names:
            (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that these tests have in common, so that the glue is built once."""
    return tmp_path_factory.mktemp("cache")


def test_a_missing_library_is_told(tmp_path: Path, kept: Path) -> None:
    folder = without(tmp_path / "libraries", "libcudnn.so.9")
    (trouble,) = said(environment(folder, kept)).values()
    assert trouble.startswith("cuDNN 9 is needed here: put libcudnn.so.9 on the loader's path")
    assert "pip install nvidia-cudnn-cu13" in trouble


def test_another_major_version_is_told(tmp_path: Path, kept: Path) -> None:
    folder = without(tmp_path / "libraries", "libcudnn.so.9")
    (folder / "libcudnn.so.8").symlink_to(standins() / "libcudnn.so.9")
    assert said(environment(folder, kept)) == {
        "cuDNN": "cuDNN 9 is needed here, and libcudnn.so.8 is of another major version; install "
        "the right one, for example with: pip install nvidia-cudnn-cu13"
    }


def test_without_a_compiler_no_library_can_be_used(tmp_path: Path) -> None:
    env = environment(standins(), tmp_path) | {"PATH": str(tmp_path)}
    troubles = said(env)
    assert set(troubles) == {"cuBLASLt", "cuDNN"}
    assert all("There is no C compiler on this machine" in why for why in troubles.values())


def test_a_compiler_that_fails_is_told(tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho no headers >&2\nexit 1\n")
    compiler.chmod(0o755)
    env = environment(standins(), tmp_path) | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    why = said(env)["cuDNN"]
    assert "cannot build what calls cuBLASLt and cuDNN (no headers)" in why
    assert not list((tmp_path / "chameleon_ray").iterdir())


def test_processes_that_build_the_glue_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    env = environment(standins(), tmp_path)
    with ThreadPoolExecutor() as threads:
        assert list(threads.map(said, [env] * 4)) == [{}] * 4
    (built,) = (tmp_path / "chameleon_ray").iterdir()
    assert built.name.startswith("vendor-")
    assert built.suffix == ".so"


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "chameleon_ray").write_text("a file in the way")
    assert said(environment(standins(), tmp_path)) == {}


def test_a_model_needs_the_libraries_only_and_says_so_without(tmp_path: Path, kept: Path) -> None:
    env, model = environment(standins(), kept), tmp_path / "model.so"
    made = asked(MODEL, env, str(model))
    assert made.returncode == 0, made.stderr
    alone = {**env, "PYTHONPATH": "", "PATH": str(tmp_path)}  # no package, no compiler
    there = asked(LOAD, alone, str(model))
    assert there.returncode == 0, there.stderr
    done = asked(LOAD, {**alone, "CHAMELEON_VENDOR_PATH": ""}, str(model))
    assert done.returncode == 1
    assert "cuBLASLt 13 is needed here: put libcublasLt.so.13 on the loader's path" in done.stderr


LOADED = """
from pathlib import Path
from chameleon_ray.compiler.vendor_path import look_in_wheels
look_in_wheels()
print(sum("libnvrtc" in line for line in Path("/proc/self/maps").read_text().splitlines()))
"""


def test_cudnn_of_a_wheel_finds_the_compiler_of_a_wheel(tmp_path: Path) -> None:
    """Which is off the loader's path; without cuDNN it is not loaded."""
    wheel = tmp_path / "nvidia" / "cudnn" / "lib"
    wheel.mkdir(parents=True)
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    env.pop("CHAMELEON_VENDOR_PATH", None)
    assert asked(LOADED, env).stdout == "0\n"
    (wheel / "libcudnn.so.9").symlink_to(standins() / "libcudnn.so.9")
    assert int(asked(LOADED, env).stdout) > 0


def test_versions_of_the_libraries_are_what_latencies_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade makes other circumstances; a CPU has the same ones as ever."""
    upgraded = without(tmp_path / "upgraded", "libcudnn.so.9")
    source = tmp_path / "cudnn.c"
    source.write_text("unsigned long cudnnGetVersion(void) { return 92901; }")
    built = upgraded / "libcudnn.so.9"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(built), str(source)], check=True)
    gpu, cpu = resolve("cuda:sm_90", 1), resolve("llvm", 1)
    found = []
    for folder in (standins(), upgraded, tmp_path / "none"):
        monkeypatch.setenv("CHAMELEON_VENDOR_PATH", str(folder))
        found.append(circumstances_of("device", gpu))
        assert not {"cuBLASLt", "cuDNN"} & set(circumstances_of("device", cpu).versions)
    first, second, neither = (one.versions for one in found)
    assert (first["cuBLASLt"], first["cuDNN"]) == ("13.10.0", "9.28.0")
    assert (second["cuBLASLt"], second["cuDNN"]) == ("13.10.0", "9.29.1")
    assert not {"cuBLASLt", "cuDNN"} & set(neither)
    assert len({one.digest for one in found}) == 3
    monkeypatch.setenv("LD_LIBRARY_PATH", str(upgraded))  # where the loader looks first of all
    monkeypatch.setenv("CHAMELEON_VENDOR_PATH", str(standins()))
    gpu_versions._version.cache_clear()
    assert circumstances_of("device", gpu).versions["cuDNN"] == "9.29.1"
    gpu_versions._version.cache_clear()
