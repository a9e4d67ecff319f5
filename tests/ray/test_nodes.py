"""Pools spread over several nodes of this machine: who is where, who joins, and what a loss costs.

Each test is a process of its own, as a process has one Ray at a time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chameleon_ray.cluster.placement import Node, one_per_core, one_per_gpu, one_per_node

ROOT = Path(__file__).parents[2]
PATIENCE = 900.0


def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of this repository, run to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / name), *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_who_belongs_where() -> None:
    head, worker = Node("a", "10.0.0.1", 8, here=True), Node("b", "10.0.0.2", 48, gpus=4)
    bare = Node("c", "10.0.0.3", 0)
    assert [one_per_gpu(node) for node in (head, worker, bare)] == [0, 4, 0]
    assert [one_per_node(node) for node in (head, worker, bare)] == [1, 1, 0]
    spread = one_per_core(None, lambda node: 2, search=3)
    assert [spread(node) for node in (head, worker, bare)] == [3, 46, 0]
    wanted = one_per_core(5, lambda node: 2, search=3)
    assert [wanted(node) for node in (head, worker, bare)] == [5, 5, 0]
    assert one_per_core(None, lambda node: 8, search=3)(head) == 1
    fed = one_per_core(None, lambda node: node.gpus, search=3)
    assert [fed(node) for node in (head, worker)] == [5, 44]


@pytest.fixture(scope="module")
def seen() -> dict:
    """What ``several_nodes.py`` saw."""
    done = program("tests/ray/several_nodes.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_gpu_has_one_runner_and_they_are_told_apart(seen: dict) -> None:
    assert len(seen["devices"]) == len({tuple(device) for device in seen["devices"]}) == 4
    assert {gpu for _, gpu in seen["devices"]} == {"0", "1"}


def test_a_node_that_joins_is_used(seen: dict) -> None:
    assert seen["joined"] == 6
    assert any("joined, with 2 runners." in said for said in seen["said"])


def test_nodes_that_die_or_fall_silent_cost_nothing_but_time(seen: dict) -> None:
    assert seen["results"] == [seen["calls"], seen["calls"]]
    assert sum("was lost, with 2 runners; " in said for said in seen["said"]) == 2
    assert seen["left"] == 2


def test_who_does_not_wait_for_other_nodes_ends_with_the_last_one(seen: dict) -> None:
    assert seen["over"].startswith("Node ")
    assert "was lost, the last that had a hasty worker" in seen["over"]


def test_artifacts_do_not_pass_through_the_driver(seen: dict) -> None:
    assert seen["code"] == "ObjectRef"
    assert seen["opened"] == [1 << 20, 1 << 20]


def test_gpus_of_two_models_are_told_apart_on_nodes_that_have_both(tmp_path: Path) -> None:
    done = program("tests/ray/mixed_gpus.py", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    saw = json.loads(done.stdout.splitlines()[-1])
    a100, t4 = "NVIDIA A100", "Tesla T4"
    assert saw["shared"] == {
        "even": {a100: ["cuda"]},
        "known": {t4: ["cuda"]},
        "named": {t4: ["cuda:sm_70"]},
        "none": {},
        "both": {t4: ["cuda:sm_70"], a100: ["cuda:sm_80"]},
    }
    told = {why: sentence.partition(", as")[0] for why, sentence in saw["told"].items()}
    assert told == {
        "even": f"This run times on 1 {a100} and leaves out 1 {t4}",
        **dict.fromkeys(("known", "named"), f"This run times on 1 {t4} and leaves out 1 {a100}"),
        **dict.fromkeys(("none", "both"), ""),
    }
    assert "T4 with --target cuda:sm_70." in saw["told"]["even"]
    for model in (a100, t4):
        assert {name for name, _, _ in saw["devices"][model]} == {model}
        assert len({node for _, _, node in saw["devices"][model]}) == 2
        assert any(f"joined, with 1 {model} runner" in sentence for sentence in saw["said"])
    assert not any("given up" in sentence for sentence in saw["said"])


def test_random_kills_lose_nothing_and_measure_nothing_twice() -> None:
    options = ["--kills", "8", "--seconds", "15", "--run-seconds", "0.12", "--copies", "1"]
    done = program("scripts/chaos.py", *options, "--alone", "--tables", "resnet-9")
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert "measurements 432, lost 0, duplicated 0, wrong 0" in last
