"""Simulated devices: what the product and TVM see of them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.gpu.conftest import simulated
from tests.gpu.launching import Launch, launch
from tests.gpu.simulator import build

H100 = "cuda:sm_90 NVIDIA H100 80GB HBM3"
MACHINES: dict[str, dict[str, Any]] = {
    "a silent driver": {"silent": 1},
    "two": {"devices": 2},
    "another model": {"model": "T4"},
    "little memory": {"memory": 1 << 30},
    "no GPU": {"devices": 0},
    "no driver": {"driver": None},
    "an old driver": {"driver": "570.86.15"},
}
"""Machines; the one that takes longest, as it is waited for, comes first."""
LISTING = """
from chameleon_ray.compiler.kinds.devices import devices
print(devices(8.0)[-1])
"""


def devices(machine: str) -> str:
    """What ``chameleon devices`` says; of a driver that is silent, with less patience."""
    silent = machine == "a silent driver"
    words = ["-c", LISTING] if silent else ["-m", "chameleon_ray", "devices"]
    environment = {**os.environ, **simulated(**MACHINES[machine])}
    command = [sys.executable, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def listed() -> dict[str, list[str]]:
    """What is said of the GPUs of all machines, a few of them at a time."""
    simulated()  # builds the simulator once
    with ThreadPoolExecutor(3) as threads:
        said = threads.map(devices, MACHINES)
        lines = [[one for one in text.splitlines() if "llvm" not in one] for text in said]
        return dict(zip(MACHINES, lines, strict=True))


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("two", ["cuda:sm_90 NVIDIA H100 80GB HBM3, 80 GiB, driver 580.95.05: ready."] * 2),
        ("another model", ["cuda:sm_75 Tesla T4, 15 GiB, driver 580.95.05: ready."]),
        ("little memory", [f"{H100}, 1 GiB"]),
        ("no GPU", ["cuda       no NVIDIA GPU"]),
        ("no driver", ["cuda       no NVIDIA GPU"]),
    ],
)
def test_chameleon_sees_the_devices(
    listed: dict[str, list[str]], machine: str, said: list[str]
) -> None:
    found = [line.split(": ", 1)[1] for line in listed[machine]]
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True)), found


def test_a_driver_too_old_is_named(listed: dict[str, list[str]]) -> None:
    (found,) = listed["an old driver"]
    assert "driver 570.86.15" in found
    assert "needs a driver for CUDA 13 (580 or later)" in found


def test_a_driver_that_never_answers_is_waited_for_for_a_while(
    listed: dict[str, list[str]],
) -> None:
    (found,) = listed["a silent driver"]
    assert "usable=False" in found
    assert "does not answer (stopped after 8 s)" in found


def test_headers_are_found_among_several_folders_of_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulated()  # or the test is skipped
    (tmp_path / "nvidia" / "cu13" / "include" / "cccl").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build.nvidia("include") == tmp_path / "nvidia" / "cu13" / "include"
    assert (build.headers() / "cuda.h").is_file()


NUMBERS = np.arange(64, dtype="float32")
KERNEL = 'extern "C" __global__ void kernel(float* a) { %s }'
DOUBLED = KERNEL % "a[blockIdx.x * blockDim.x + threadIdx.x] *= 2;"
DYNAMIC = KERNEL % "extern __shared__ float s[]; s[threadIdx.x] = a[0]; a[threadIdx.x] = s[0];"


def test_a_kernel_runs_on_all_blocks_and_threads() -> None:
    one = Launch(DOUBLED, [NUMBERS], grid=(2, 1, 1))
    (outcome,) = launch(simulated(), one)
    assert outcome.error == 0
    np.testing.assert_array_equal(outcome.arrays[0], 2 * NUMBERS)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("a[(1ull << 40) + threadIdx.x] = 1;", 700),
        ('asm volatile("trap;");', 719),
    ],
)
def test_an_error_of_a_kernel_is_final_for_the_process(body: str, error: int) -> None:
    good = Launch(DOUBLED, [NUMBERS])
    bad, after = launch(simulated(), Launch(KERNEL % body, [NUMBERS]), good)
    assert (bad.error, bad.then, after.error) == (error, error, error)
    (other,) = launch(simulated(), good)
    assert other.error == 0


def test_limits_are_cudas() -> None:
    def error(**changes: Any) -> int:
        one = replace(Launch(DYNAMIC, [NUMBERS], arch="sm_80"), **changes)
        return launch(simulated(model="A100"), one)[0].error

    assert error(shared=48 << 10) == 0
    assert error(shared=(48 << 10) + 1) == 1
    assert error(shared=163 << 10, asked=163 << 10) == 0
    assert error(asked=(163 << 10) + 1) == 1
    assert error(block=(1025, 1, 1)) == 1
    assert error(block=(1, 1, 65)) == 1
    assert error(grid=(1, 65536, 1)) == 1
    assert error(arch="sm_90") == 209


def test_a_gpu_has_only_so_much_memory() -> None:
    large = Launch(DOUBLED, [np.zeros(1 << 27, "uint8")])
    enough, less = (launch(simulated(memory=size << 20), large)[0].error for size in (384, 383))
    assert (enough, less) == (0, 2)


def test_a_gpu_that_is_lost_is_lost_for_all(tmp_path: Path) -> None:
    environment = simulated(devices=2, lost=tmp_path / "lost", lost_at=2)
    good = Launch(DOUBLED, [NUMBERS])
    first, second, third = launch(environment, good, good, good)
    assert (first.error, second.error > 0, third.error) == (0, True, second.error)
    assert (tmp_path / "lost").read_text() == "0\n"
    for gpu, found in (("GPU-00000001", False), ("GPU-00000002", True)):
        (other,) = launch({**environment, "CUDA_VISIBLE_DEVICES": gpu}, good)
        assert (other.error == 0) is found
