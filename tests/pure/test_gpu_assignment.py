"""The assignment of GPUs: which model of GPU a run times on, and what is said of the others."""

from chameleon_ray.api import gpu_assignment
from chameleon_ray.measure import nvml


def gpus(*models: str) -> list[nvml.Gpu]:
    """GPUs of these models and architectures, as ``A100 sm_80``."""
    pairs = [model.split() for model in models]
    return [nvml.Gpu(name, f"GPU-{n}", arch, 1, "580") for n, (name, arch) in enumerate(pairs)]


LARGE = '{"kind": "cuda", "arch": "sm_80", "max_shared_memory_per_block": 166912}'
MIXED = gpus("T4 sm_75", "A100 sm_80", "L4 sm_89", "A100 sm_80", "T4 sm_75", "A30 sm_80")


def test_the_model_that_most_gpus_are_is_chosen() -> None:
    assert gpu_assignment.chosen(MIXED, "") == "A100"
    assert gpu_assignment.chosen(MIXED[:3], "") == "A100"  # one of each
    assert gpu_assignment.chosen([], "") == ""


def test_the_targets_architecture_and_the_earlier_session_decide_before_numbers() -> None:
    assert gpu_assignment.chosen(MIXED, "sm_75") == "T4"
    assert gpu_assignment.chosen(gpus("T4 sm_75", "H200 sm_90"), "sm_90a") == "H200"
    assert gpu_assignment.chosen(MIXED, "sm_90") == ""
    assert gpu_assignment.chosen(MIXED, "", ["L4"]) == "L4"
    assert gpu_assignment.chosen(MIXED, "sm_75", ["L4"]) == "T4"
    assert gpu_assignment.chosen(MIXED, "", ["EPYC, 1 core", ""]) == "A100"
    assert gpu_assignment.chosen(MIXED, "", ["", "T4"]) == "T4"


def test_what_is_left_out_is_said_once() -> None:
    assert gpu_assignment.left_out(MIXED, ["A100"]) == (
        "This run times on 2 A100 and leaves out 1 A30, 1 L4, 2 T4, as latencies on different GPUs "
        "cannot be compared; in a run of its own, tune for A30 on nodes that have no A100, L4 with "
        "--target cuda:sm_89, T4 with --target cuda:sm_75."
    )
    assert gpu_assignment.left_out(MIXED[1:2], ["A100"]) == gpu_assignment.left_out([], [""]) == ""
    assert gpu_assignment.left_out(MIXED, [""]) == ""


def test_what_another_target_uses_is_not_left_out() -> None:
    assert gpu_assignment.left_out(MIXED, ["A100", "T4"]).startswith(
        "This run times on 2 T4, 2 A100 and leaves out 1 A30, 1 L4, as"
    )
    assert gpu_assignment.left_out(MIXED, {gpu.name for gpu in MIXED}) == ""


def test_every_target_has_its_model_and_targets_of_one_model_share_it() -> None:
    wanted = {"cuda:sm_75": (), "cuda:sm_80": ("A30",), "cuda:sm_90": (), "cuda": (), LARGE: ()}
    assert gpu_assignment.shared_out(MIXED, wanted) == {
        "T4": ("cuda:sm_75",),
        "A30": ("cuda:sm_80",),
        "A100": ("cuda", LARGE),
    }
    assert gpu_assignment.shared_out([], wanted) == {
        "": tuple(wanted)
    }  # nobody can tell which there are
    assert gpu_assignment.missing("cuda:sm_90").startswith(
        "There is no GPU of sm_90, which the target is"
    )
