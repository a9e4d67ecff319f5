"""A zoo for two models of GPU in one cluster: two devices, two sets of records, one search."""

import json

import pytest

from chameleon_ray.compiler.codegen.cuda_compiler import compiler_for
from chameleon_ray.compiler.target import TargetError
from tests.ray.test_nodes import program

A100, H100, TRIALS = "NVIDIA A100", "NVIDIA H100", 20
"""As the program has them."""
DEVICES = {"dense-a100": A100, "dense-h100": H100}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ``several_targets.py`` saw."""
    try:
        compiler_for("sm_80")
    except TargetError as error:
        pytest.skip(str(error))
    done = program("tests/ray/several_targets.py", str(tmp_path_factory.mktemp("zoo")))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_models_records_are_of_its_own_device(seen: dict) -> None:
    assert seen["devices"] == DEVICES
    assert seen["whole"] == f"{A100}, {H100}"
    for name, device in DEVICES.items():
        arch = "sm_80" if device == A100 else "sm_90"
        timed = [record for record in seen["records"][name] if record[2] == "ok"]
        assert timed
        assert {where for where, *_ in timed} == {device}
        assert all(arch in target for *_, target in seen["records"][name])


def test_the_trials_are_shared_and_records_are_numbered_once(seen: dict) -> None:
    assert {name: len(own) for name, own in seen["records"].items()} == {
        name: TRIALS // 2 for name in DEVICES
    }
    assert sorted(seen["all"]) == list(range(TRIALS))


def test_both_are_measured_at_the_same_time(seen: dict) -> None:
    numbers = {name: [n for _, n, *_ in own] for name, own in seen["records"].items()}
    assert min(numbers["dense-a100"]) < max(numbers["dense-h100"])
    assert min(numbers["dense-h100"]) < max(numbers["dense-a100"])


def test_each_model_is_verified_on_its_own_device_by_its_own_library(seen: dict) -> None:
    assert {(name, device) for name, device, *_ in seen["asked"]} == set(DEVICES.items())
    assert len({node for *_, node, _ in seen["asked"]}) == 2
    assert all(size > 1000 for *_, size in seen["asked"])
    assert seen["tuned"] == {"dense-a100": 1e-3, "dense-h100": 5e-4}


def test_a_target_without_a_device_is_one_sentence(seen: dict) -> None:
    problems = dict(seen["problems"])
    assert problems.pop("dense-t4").startswith("There is no GPU of sm_75, which the target is for")
    assert problems == dict.fromkeys(DEVICES, "")
    assert sum("sm_75" in note for note in seen["notes"]) == 1
    assert not any("leaves out" in note for note in seen["notes"])


def test_builders_are_shared_and_runners_are_named_after_their_device(seen: dict) -> None:
    names = set(seen["processes"])
    assert sum("runner" in name for name in names) == 2
    assert all(any(name.startswith(f"{one} runner") for name in names) for one in (A100, H100))
    assert any(name.startswith("builder") for name in names)
