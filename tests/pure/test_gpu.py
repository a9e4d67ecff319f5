"""GPUs without one: occupancy's known answers, and the management library's calls."""

import shutil
import subprocess
from pathlib import Path

import pytest

from chameleon_ray.compiler import gpu
from chameleon_ray.measure import nvml

KIB = 1024
FAKE = """
#include <string.h>
typedef unsigned int u; typedef unsigned long long w; typedef void* h;
static char which;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(u* n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(u i, h* d) { *d = &which + i; return 0; }
int nvmlDeviceGetHandleByUUID(const char* s, h* d) {
  *d = &which + (s[4] == 'b'); return strncmp(s, "GPU-", 4) ? 6 : 0; }
int nvmlDeviceGetCudaComputeCapability(h d, int* a, int* b) { *a = 9; *b = 0; return 0; }
int nvmlDeviceGetMemoryInfo(h d, w* m) { m[0] = 5; m[1] = 3; m[2] = 2; return 0; }
int nvmlDeviceGetName(h d, char* s, u n) { strcpy(s, "Fake GPU"); return 0; }
int nvmlDeviceGetUUID(h d, char* s, u n) {
  strcpy(s, d == &which ? "GPU-a" : "GPU-b"); return 0; }
int nvmlSystemGetDriverVersion(char* s, u n) { strcpy(s, "580.1"); return 0; }
int nvmlDeviceGetClockInfo(h d, u k, u* v) { *v = k == 1 ? 1980 : 2619; return 0; }
int nvmlDeviceGetTemperature(h d, u k, u* v) { return 3; }
int nvmlDeviceGetCurrentClocksThrottleReasons(h d, w* v) { *v = 1 | 1ull << 40; return 0; }
"""
"""A driver with two GPUs that do not tell their temperature."""


@pytest.mark.parametrize(
    ("arch", "threads", "registers", "shared", "expected"),
    [
        ("sm_80", 256, 32, 0, 1.0),
        ("sm_80", 256, 64, 0, 0.5),
        ("sm_80", 128, 32, 48 * KIB, 3 * 4 / 64),  # 3 blocks of 49 KiB fit into 164
        ("sm_90", 128, 32, 48 * KIB, 4 * 4 / 64),
        ("sm_75", 1024, 64, 0, 1.0),
        ("sm_86", 1024, 32, 0, 1024 / 1536),
        ("sm_90", 32, 16, 0, 0.5),  # 32 blocks of a warp
        ("sm_90", 33, 16, 0, 1.0),  # are as many as of two warps
        ("sm_90a", 256, 255, 0, 8 / 64),
        ("sm_90", 1024, 65, 0, 0.0),
        ("sm_90", 1024, 64, 227 * KIB, 0.5),
        ("sm_90", 1024, 64, 228 * KIB, 0.0),
        ("sm_80", 1025, 8, 0, 0.0),
        ("sm_80", 32, 256, 0, 0.0),
    ],
)
def test_occupancy(arch: str, threads: int, registers: int, shared: int, expected: float) -> None:
    assert gpu.occupancy(arch, threads, registers, shared) == pytest.approx(expected)


def test_architectures_have_names() -> None:
    assert gpu.capability("sm_90") == gpu.capability("sm_90a") == 90
    assert gpu.capability("volta") is None
    known = [f"sm_{n}" for n in (70, 75, 80, 86, 87, 89, 90, 100)]
    assert all(gpu.attributes(arch) for arch in known)
    assert gpu.attributes("sm_42") is None


def test_without_a_driver_one_sentence_says_so() -> None:
    with pytest.raises(nvml.NvmlError, match=r"libnone\.so of NVIDIA's driver cannot be loaded"):
        nvml.gpus("libnone.so")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a driver with")
    source = tmp_path_factory.mktemp("driver") / "fake.c"
    source.write_text(FAKE)
    library = source.with_suffix(".so")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


def test_gpus_are_listed(driver: str) -> None:
    first, second = nvml.gpus(driver)
    assert first == nvml.Gpu("Fake GPU", "GPU-a", "sm_90", 5, "580.1")
    assert second.uuid == "GPU-b"


def test_clocks_are_read_and_what_is_not_told_is_zero(driver: str) -> None:
    assert nvml.condition("GPU-a", driver) == nvml.Condition(1980, 2619, 0, 1 << 40)
    with pytest.raises(nvml.NvmlError, match="error 6"):
        nvml.condition("nothing", driver)


def test_the_visible_gpu_is_the_one_that_cuda_numbers_0(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for visible, uuid in (("1", "GPU-b"), ("GPU-b", "GPU-b"), ("0,1", "GPU-a")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert nvml.visible(driver).uuid == uuid
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(nvml.NvmlError):
        nvml.visible(driver)
    assert Path(driver).exists()
