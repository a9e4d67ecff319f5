"""NVIDIA's figures without a GPU: occupancy's known answers, the management library's calls."""

from functools import partial
from pathlib import Path

import pytest

from chameleon_ray.compiler import nvidia
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.measure import nvidia_driver, nvml
from tests.pure.driver import GPUS, library

KIB = 1024


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
    assert nvidia.occupancy(arch, threads, registers, shared) == pytest.approx(expected)


def test_architectures_have_names() -> None:
    assert nvidia.capability("sm_90") == nvidia.capability("sm_90a") == 90
    assert nvidia.capability("volta") is None
    known = [f"sm_{n}" for n in (70, 75, 80, 86, 87, 89, 90, 100)]
    assert all(nvidia.attributes(arch) for arch in known)
    assert nvidia.attributes("sm_42") is None


def test_without_a_driver_one_sentence_says_so() -> None:
    with pytest.raises(nvml.NvmlError, match=r"libnone\.so of NVIDIA's driver cannot be loaded"):
        nvml.gpus("libnone.so")


@pytest.fixture
def driver(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two GPUs that do not tell their temperature."""
    monkeypatch.setenv(GPUS, "Fake GPU:9,Fake GPU:9")
    return str(library(tmp_path_factory.getbasetemp()))


def test_gpus_are_listed(driver: str) -> None:
    first, second = nvml.gpus(driver)
    assert first == nvml.Gpu("Fake GPU", "GPU-0", "sm_90", 5, "580.1")
    assert second.uuid == "GPU-1"


def test_a_lost_gpu_hides_no_other_and_leaves_their_numbers(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "Fake GPU:9,Lost GPU:9,Fake GPU:8")
    assert [gpu.uuid for gpu in nvml.gpus(driver)] == ["GPU-0", "GPU-2"]
    assert list(nvml.unusable(driver)) == [1]
    assert [gpu.uuid for gpu in nvml.named(["2", "GPU-0"], driver)] == ["GPU-2", "GPU-0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(nvml.NvmlError, match="the GPU is lost: it fell off the bus"):
        nvml.visible(driver)


def test_gpus_that_are_kept_from_this_user_are_not_counted(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "Other GPU:9,Fake GPU:8,Lost GPU:9")
    assert [gpu.uuid for gpu in nvml.gpus(driver)] == ["GPU-1"]
    assert list(nvml.unusable(driver)) == [1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert nvml.visible(driver).uuid == "GPU-1"
    monkeypatch.setenv(GPUS, "Other GPU:9,Other GPU:9")
    with pytest.raises(nvml.NvmlError, match="this user may not use the GPUs"):
        nvml.gpus(driver)


def test_a_sick_gpu_hides_no_other_whatever_it_answers(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "Sick GPU:9,Fake GPU:9")
    assert [gpu.uuid for gpu in nvml.gpus(driver)] == ["GPU-1"]
    (why,) = nvml.unusable(driver).values()
    assert "error 999 (the GPU does not answer; see nvidia-smi" in str(why)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(nvml.NvmlError, match="the GPU does not answer"):
        nvml.visible(driver)
    assert nvml.count(driver) == 1


def test_a_gpu_without_memory_of_its_own_is_a_gpu(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "Shared GPU:12")
    assert [gpu.memory_bytes for gpu in nvml.gpus(driver)] == [0]


def test_a_gpu_that_is_divided_is_refused(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GPUS, "Split GPU:9,Fake GPU:9")
    assert [gpu.uuid for gpu in nvml.gpus(driver)] == ["GPU-1"]
    for visible in ("0", " 0", "0,1", "GPU-0", "MIG-0a1b", "MIG-GPU-0/1/0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with pytest.raises(nvml.NvmlError, match=r"divided into instances \(MIG\)"):
            nvml.visible(driver)


def test_the_gpu_that_is_hidden_is_listed_as_such(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gpus", "unusable", "shown"):
        monkeypatch.setattr(nvml, name, partial(getattr(nvml, name), driver))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    probed = {"gpus": ["sm_90"], "trouble": "", "runtime": "13.0", "compiler": "by NVRTC"}
    hidden, there = CUDA.devices(probed, "")
    assert (hidden.usable, there.usable) == (False, True)
    assert "CUDA_VISIBLE_DEVICES hides it" in hidden.missing


def test_the_drivers_libraries_are_found_off_the_loaders_path(driver: str, tmp_path: Path) -> None:
    places = [str(tmp_path / "nothing"), str(Path(driver).parent)]
    library = nvidia_driver.load(nvml.LIBRARY, places)
    assert library.nvmlInit_v2() == 0
    with pytest.raises(
        OSError, match=f"libnone.so is neither on the loader's path nor in {places[0]}"
    ):
        nvidia_driver.load("libnone.so", places)
    (tmp_path / "libnone.so").write_bytes(b"no library")
    with pytest.raises(OSError, match=r"libnone\.so: (file too short|invalid ELF)"):
        nvidia_driver.load("libnone.so", [str(tmp_path)])


def test_clocks_are_read_and_what_is_not_told_is_zero(driver: str) -> None:
    assert nvml.condition("GPU-0", driver) == nvml.Condition(1980, 2619, 0, 1 << 40)
    with pytest.raises(nvml.NvmlError, match="error 6"):
        nvml.condition("nothing", driver)


def test_gpus_are_found_by_number_and_uuid_up_to_the_first_that_is_not_there(driver: str) -> None:
    def uuids(ids: list[str] | None) -> list[str]:
        return [gpu.uuid for gpu in nvml.named(ids, driver)]

    assert uuids(None) == uuids(["0", "GPU-1"]) == ["GPU-0", "GPU-1"]
    assert uuids(["1", " 0"]) == ["GPU-1", "GPU-0"]
    assert uuids(["0", "7", "1"]) == ["GPU-0"]
    assert uuids([]) == uuids([""]) == []


def test_the_visible_gpu_is_the_one_that_cuda_numbers_0(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for visible, uuid in (("1", "GPU-1"), ("GPU-1", "GPU-1"), ("0,1", "GPU-0")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert nvml.visible(driver).uuid == uuid
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(nvml.NvmlError):
        nvml.visible(driver)
    assert Path(driver).exists()
