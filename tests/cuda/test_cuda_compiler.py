"""Binaries for GPUs that are not there: they parse, and say what the compiler says."""

import re
from pathlib import Path

import pytest

from chameleon_ray.compiler.codegen import cuda_compiler
from chameleon_ray.compiler.codegen.cuda_compiler import (
    Binary,
    CompileError,
    Nvcc,
    compiler_for,
    plain,
)
from chameleon_ray.compiler.codegen.cuda_resources import BinaryError, kernels, resources, spills
from chameleon_ray.compiler.target import TargetError
from tests.cuda.kernels import ARCHS, nvcc, usable_compiler

TWO = """
extern "C" __global__ void __launch_bounds__(64) first(float* a) {
  __shared__ float s[100];
  s[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = s[63 - threadIdx.x];
}
extern "C" __global__ void second(float* a) { a[threadIdx.x] = 1.0f; }
"""
GREEDY = """
extern "C" __global__ void __launch_bounds__(1024) greedy(float* a) {
  float kept[128];
  #pragma unroll
  for (int i = 0; i < 128; ++i) kept[i] = a[i * 1024 + threadIdx.x];
  #pragma unroll
  for (int i = 0; i < 128; ++i) a[threadIdx.x * 128 + i] = kept[127 - i] * kept[i];
}
"""
TENSOR_CORES = """
#include <mma.h>
extern "C" __global__ void fill(float* a) {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> tile;
  nvcuda::wmma::fill_fragment(tile, 1.0f);
  nvcuda::wmma::store_matrix_sync(a, tile, 16, nvcuda::wmma::mem_row_major);
}
"""
USED = re.compile(r"Compiling entry function '(\w+)'.*?Used (\d+) registers([^\n]*)", re.DOTALL)
SHARED = re.compile(r"(\d+) bytes smem")


def reported(binary: Binary) -> dict[str, tuple[int, int]]:
    """Registers and shared memory of every kernel in the compiler's own words."""
    found = {}
    for name, registers, rest in USED.findall(binary.report):
        shared = SHARED.search(rest)
        found[name] = int(registers), int(shared[1]) if shared else 0
    return found


@pytest.mark.parametrize("arch", [*ARCHS, "sm_90a", "sm_100"])
def test_the_binary_says_what_the_compiler_says(arch: str) -> None:
    binary = usable_compiler(arch).compile(TWO)
    found = {kernel.name: (kernel.registers, kernel.shared) for kernel in kernels(binary.code)}
    assert found == reported(binary)
    assert found["first"][1] == 400
    assert {k.name: k.threads for k in kernels(binary.code)} == {"first": 64, "second": 1024}


@pytest.mark.parametrize("arch", ARCHS)
def test_figures_are_those_of_the_greediest_kernel(arch: str) -> None:
    taken = resources(usable_compiler(arch).compile(TWO), arch, dynamic=1000)
    assert (taken.kernels, taken.threads, taken.spilled) == (2, 1024, 0)
    assert taken.shared == 1400
    assert 0 < taken.occupancy <= 1


def test_spills_are_seen() -> None:
    binary = usable_compiler("sm_90").compile(GREEDY)
    taken = resources(binary, "sm_90")
    assert taken.registers <= 64
    assert taken.spilled == sum(spills(binary.report).values()) > 0
    assert taken.stack > 0


def test_nvcc_gives_the_same_figures() -> None:
    command = nvcc()
    ours = resources(usable_compiler("sm_80").compile(TWO), "sm_80")
    theirs = resources(Nvcc(command, "sm_80").compile(TWO), "sm_80")
    assert (ours.kernels, ours.threads, ours.shared) == (
        theirs.kernels,
        theirs.threads,
        theirs.shared,
    )


def test_bad_source_is_an_error_in_the_compilers_words() -> None:
    with pytest.raises(CompileError, match='identifier "nothing" is undefined'):
        usable_compiler("sm_90").compile("int f() { return nothing; }")


@pytest.mark.parametrize("code", [b"", b"nothing", b"\x7fELF\x02" + bytes(100)])
def test_what_is_no_binary_is_refused(code: bytes) -> None:
    with pytest.raises(BinaryError, match=r"cannot be read|has no kernel"):
        resources(Binary(code, ""), "sm_90")


def test_without_a_compiler_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda_compiler, "_nvrtc", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    sentence = r"can compile for sm_90; install .* pip install 'chameleon_ray\[cuda\]'\.$"
    with pytest.raises(TargetError, match=sentence):
        compiler_for("sm_90")
    assert "pip install" in cuda_compiler.summary()


def test_an_architecture_that_nvrtc_has_forgotten_needs_nvcc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if cuda_compiler._nvrtc() is None:
        pytest.skip("NVRTC is not installed")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TargetError, match="but not for sm_70; install an nvcc that does"):
        compiler_for("sm_70")


def test_tvms_preamble_is_replaced_unless_the_library_is_used() -> None:
    head = "\n#ifdef __CUDACC_RTC__\n  #include <cuda/std/cstdint>\n#else\n#include <x>\n#endif\n"
    assert "#include" not in plain(head + "int f();")
    assert "int64_t" in plain(head + "int f();")
    assert plain(head + "std::tuple<int> f();") == head + "std::tuple<int> f();"
    assert plain("int f();") == "int f();"


def test_headers_are_found_where_wheels_lie_in_two_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``mma.h`` is in one wheel, and ``crt/mma.h``, which it includes, in another."""
    usable_compiler("sm_90")
    (whole,) = [root for root in cuda_compiler.nvidia_wheels() if (root / "include/crt").is_dir()]
    runtime, crt = tmp_path / "runtime/include", tmp_path / "crt/include"
    for folder in (runtime, crt):
        folder.mkdir(parents=True)
    for header in (whole / "include").iterdir():
        place = crt if header.name == "crt" else runtime
        (place / header.name).symlink_to(header)
    monkeypatch.setattr(cuda_compiler, "nvidia_wheels", lambda: [runtime.parent])
    monkeypatch.setattr(cuda_compiler, "TOOLKIT", tmp_path / "nothing")
    monkeypatch.delenv("CUDA_PATH", raising=False)
    monkeypatch.delenv("CUDA_HOME", raising=False)
    with pytest.raises(CompileError, match=r"crt/mma\.h"):
        compiler_for("sm_90").compile(TENSOR_CORES)
    monkeypatch.setenv("CUDA_HOME", str(crt.parent))
    assert compiler_for("sm_90").compile(TENSOR_CORES).code.startswith(b"\x7fELF")
    monkeypatch.delenv("CUDA_HOME")
    monkeypatch.setattr(cuda_compiler, "nvidia_wheels", lambda: [runtime.parent, crt.parent])
    assert compiler_for("sm_90").compile(TENSOR_CORES).code.startswith(b"\x7fELF")
