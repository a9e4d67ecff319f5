"""Locks of GPUs: one that was made on another GPU says nothing of this one."""

from pathlib import Path

import pytest

from chameleon_ray.api.checking import check_lock
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.errors import UserError
from chameleon_ray.lockfile import Lock
from chameleon_ray.options import Checking
from tests.cuda.kernels import PATIENT


def refusal(folder: Path, device: str) -> str:
    """Why a lock of a device is not checked, of a model that there is none of."""
    target = CUDA.resolve("cuda:sm_90", 1)
    lock = Lock("net", target, device, {}, {}, {}, untuned=2e-3, tuned=1e-3)
    path = folder / "chameleon.lock"
    path.write_text(lock.dumps())
    with pytest.raises(UserError) as error:
        check_lock(path, str(folder / "none.onnx"), (), (), None, 0.05, Checking())
    return str(error.value)


def test_a_lock_of_another_gpu_is_refused(gpu: dict[str, str], tmp_path: Path) -> None:
    runner = CudaRunner(PATIENT)
    own = runner.survey().device
    runner.close()
    said = refusal(tmp_path, "NVIDIA H200")
    assert f"has latencies of another device (NVIDIA H200; this is {own}); give a run" in said
    assert "another device" not in refusal(tmp_path, own)
