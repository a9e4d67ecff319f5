"""Why CUDA sees no GPU, in words: what its first error means, and what the machine's files say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chameleon_ray.compiler.runtime import cuda_driver, gpu_memory
from chameleon_ray.compiler.runtime.cudart import CudaError

NO_DEVICE, UNKNOWN, FABRIC = 100, 999, 802


def error(status: int) -> CudaError:
    return CudaError("cudaGetDeviceCount", status, "so it is called")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Drops root's right to open every file."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.fixture
def files() -> Iterator[Path]:
    """A folder as ``/dev``, which every user may read; ``TMPDIR`` may be open to one user only."""
    with TemporaryDirectory(dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        for name in ("nvidia-uvm", "nvidia0", "nvidiactl", "nvidia-modeset"):
            (folder / name).touch()
            (folder / name).chmod(0o666 if name != "nvidia-modeset" else 0)  # not needed
        yield folder


def test_a_gpus_file_that_may_not_be_opened_is_named(files: Path) -> None:
    with unprivileged():
        assert cuda_driver.forbidden(files) == ""
    (files / "nvidia0").chmod(0)
    with unprivileged():
        said = cuda_driver.reason(error(NO_DEVICE), files)
    assert said == (
        f"this user may not open {files}/nvidia0; join the group that owns it, or start the "
        "container with its GPUs"
    )


def test_the_closed_file_of_another_jobs_gpu_is_no_trouble(files: Path) -> None:
    (files / "nvidia1").touch()
    (files / "nvidia0").chmod(0)
    (files / "nvidia1").chmod(0o666)
    with unprivileged():
        assert cuda_driver.forbidden(files) == ""


def test_an_old_driver_is_told_whatever_files_are_closed(files: Path) -> None:
    (files / "nvidia0").chmod(0)
    with unprivileged():
        assert "is too old" in cuda_driver.reason(error(35), files)
        assert "fabric manager" in cuda_driver.reason(error(FABRIC), files)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (35, "is too old: TVM needs a driver for CUDA 13 (580 or later)"),
        (FABRIC, "fabric manager (CUDA's cudaGetDeviceCount failed with error 802"),
        (46, "the GPU is lost, or in use where one process may use it at a time; see nvidia-smi"),
    ],
)
def test_what_cudas_first_error_means_is_said(status: int, words: str, tmp_path: Path) -> None:
    assert words in cuda_driver.reason(error(status), tmp_path)


def test_an_error_without_a_meaning_is_told_as_it_is(tmp_path: Path) -> None:
    said = cuda_driver.reason(error(UNKNOWN), tmp_path)
    assert "error 999 (so it is called)" in said or "libnvidia-ml.so.1" in said


def test_bytes_have_a_unit() -> None:
    sizes = (512, 3 << 20, 3 << 29, 80 << 30, 5 << 40)
    words = [gpu_memory.bytes_in_words(size) for size in sizes]
    assert words == ["0.5 KiB", "3.0 MiB", "1.5 GiB", "80.0 GiB", "5120.0 GiB"]


@pytest.mark.parametrize(
    ("said", "full"),
    [
        ("CUDA: out of memory", True),
        ("cudaErrorMemoryAllocation", True),
        ("cuBLASLt: the resource allocation failed", True),
        ("cuDNN: CUDNN_STATUS_ALLOC_FAILED", True),
        ("cuDNN: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", True),
        ("cuDNN: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED", False),
        ("cuBLASLt: the functionality is not supported", False),
    ],
)
def test_a_full_memory_is_known_by_the_words_of_whoever_says_it(said: str, full: bool) -> None:
    assert gpu_memory.is_full(RuntimeError(said)) == full
