"""Simulated devices: what the product and TVM see of them."""

import os
import subprocess
import sys

import pytest

from tests.gpu.conftest import simulated

H100 = "cuda:sm_90 NVIDIA H100 80GB HBM3"


def devices(environment: dict[str, str]) -> list[str]:
    """What ``chameleon devices`` says of GPUs."""
    command = [sys.executable, "-m", "chameleon_ray", "devices"]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return [line.split(": ", 1)[1] for line in done.stdout.splitlines() if "llvm" not in line]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"devices": 2},
            ["cuda:sm_90 NVIDIA H100 80GB HBM3, 80 GiB, driver 580.95.05: ready."] * 2,
        ),
        ({"model": "T4"}, ["cuda:sm_75 Tesla T4, 15 GiB, driver 580.95.05: ready."]),
        ({"memory": 1 << 30}, [f"{H100}, 1 GiB"]),
        ({"devices": 0}, ["cuda       no NVIDIA GPU"]),
        ({"driver": None}, ["cuda       no NVIDIA GPU"]),
    ],
)
def test_chameleon_sees_the_devices(environment: dict, said: list[str]) -> None:
    found = devices(simulated(**environment))
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True)), found


def test_a_driver_too_old_is_named() -> None:
    (found,) = devices(simulated(driver="570.86.15"))
    assert "driver 570.86.15" in found
    assert "needs a driver for CUDA 13 (580 or later)" in found
