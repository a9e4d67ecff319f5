"""Which model of GPU a run times on, and what is said of the others."""

from functools import partial
from pathlib import Path

import pytest

from chameleon_ray.api import fleet
from chameleon_ray.crew import Unfit
from chameleon_ray.measure import nvml
from tests.pure.driver import GPUS, library


def gpus(*models: str) -> list[nvml.Gpu]:
    """GPUs of these models and architectures, as ``A100 sm_80``."""
    pairs = [model.split() for model in models]
    return [nvml.Gpu(name, f"GPU-{n}", arch, 1, "580") for n, (name, arch) in enumerate(pairs)]


MIXED = gpus("T4 sm_75", "A100 sm_80", "L4 sm_89", "A100 sm_80", "T4 sm_75", "A30 sm_80")


def test_the_model_that_most_gpus_are_is_chosen() -> None:
    assert fleet.chosen(MIXED, "") == "A100"
    assert fleet.chosen(MIXED[:3], "") == "A100"  # one of each
    assert fleet.chosen([], "") == ""


def test_the_targets_architecture_and_the_earlier_session_decide_before_numbers() -> None:
    assert fleet.chosen(MIXED, "sm_75") == "T4"
    assert fleet.chosen(gpus("T4 sm_75", "H200 sm_90"), "sm_90a") == "H200"
    assert fleet.chosen(MIXED, "sm_90") == ""
    assert fleet.chosen(MIXED, "", ["L4"]) == "L4"
    assert fleet.chosen(MIXED, "sm_75", ["L4"]) == "T4"
    assert fleet.chosen(MIXED, "", ["EPYC, 1 core", ""]) == "A100"
    assert fleet.chosen(MIXED, "", ["", "T4"]) == "T4"


def test_what_is_left_out_is_said_once() -> None:
    assert fleet.left_out(MIXED, "A100") == (
        "This run times on 2 A100 and leaves out 1 A30, 1 L4, 2 T4, as latencies on different GPUs "
        "cannot be compared; in a run of its own, tune for A30 on nodes that have no A100, L4 with "
        "--target cuda:sm_89, T4 with --target cuda:sm_75."
    )
    assert fleet.left_out(MIXED[1:2], "A100") == fleet.left_out([], "") == ""
    assert fleet.left_out(MIXED, "") == ""


def test_a_runner_of_another_model_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "visible", partial(nvml.visible, str(library(tmp_path))))
    monkeypatch.setenv(GPUS, "Tesla T4:7,NVIDIA A100:8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert fleet.only("NVIDIA A100", list)() == []
    with pytest.raises(Unfit, match="its GPU is NVIDIA A100, and this run is for Tesla T4; tune"):
        fleet.only("Tesla T4", list)()
    assert fleet.only("", list)() == []
    monkeypatch.delenv(GPUS)
    assert fleet.only("Tesla T4", list)() == []  # it cannot be told which it is
