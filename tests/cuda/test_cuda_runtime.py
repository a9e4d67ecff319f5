"""TVM's CUDA runtime over stand-ins for NVIDIA's libraries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
sys.modules.update({name: None for name in sys.argv[1:]})
from chameleon_ray.compiler.tvm_process import block_torch
block_torch()
import tvm, tvm_ffi
from chameleon_ray.compiler.codegen.cuda_library import CREATE
from chameleon_ray.compiler.codegen.cuda_runtime import demand_runtime
demand_runtime()
module = tvm_ffi.get_global_func(CREATE)(b"\\x7fELF", "cubin", {}, {})
print(module.kind, module.inspect_source("cubin") == "\\x7fELF", tvm.cuda().exist)
host = tvm_ffi.get_global_func("runtime.CSourceModuleCreate")("//", "c", [], [])
host.import_module(module)
packed = bytes(tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")(host).numpy())
print(b"cubin" in packed, b"\\x7fELF" in packed)
"""


def run(*hidden: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Loads TVM's runtime where some packages and the loader's other folders are hidden."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *hidden],
        capture_output=True,
        text=True,
        env={**os.environ, "LD_LIBRARY_PATH": "", **environment},
    )


@pytest.mark.parametrize("hidden", [(), ("nvidia",)], ids=["no driver", "no CUDA at all"])
def test_a_binary_is_written_without_nvidias_libraries(hidden: tuple[str, ...]) -> None:
    done = run(*hidden)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("cuda True")
    assert second == "True True"


def test_a_linker_alone_makes_them(tmp_path: Path) -> None:
    linker = shutil.which("ld")
    if linker is None:
        pytest.skip("this machine has no ld")
    (tmp_path / "ld").symlink_to(linker)
    done = run("nvidia", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_without_one_it_says_what_to_install(tmp_path: Path) -> None:
    done = run("nvidia", PATH=str(tmp_path))
    assert done.returncode != 0
    assert "apt-get install binutils" in done.stderr.splitlines()[-1]


def test_a_tvm_without_a_cuda_runtime_is_named(tmp_path: Path) -> None:
    script = SCRIPT.replace(
        "demand_runtime()\n", "tvm.libinfo.package_lib_paths = list\ndemand_runtime()\n", 1
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode == 0:
        pytest.skip("TVM has loaded its CUDA runtime, as this machine has a driver")
    assert "TVM has no libtvm_runtime_cuda.so here" in done.stderr.splitlines()[-1]
