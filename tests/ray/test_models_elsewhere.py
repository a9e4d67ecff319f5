"""Whole models on a cluster: they are verified and timed where layers were timed."""

import json

import pytest

from tests.ray.test_nodes import program


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ``models_elsewhere.py`` saw."""
    folder = str(tmp_path_factory.mktemp("models"))
    done = program("tests/ray/models_elsewhere.py", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_models_run_on_the_nodes_and_not_beside_the_driver(seen: dict) -> None:
    nodes = {node for node, _ in seen["before"] + seen["after"]}
    assert len(nodes) == 2
    assert seen["driver"] not in nodes
    assert seen["phases"] == ["verify"]
    assert seen["process"] == ["apply", "import"]


def test_a_wrong_library_is_found_wrong_there(seen: dict) -> None:
    assert seen["right"][0] is True
    assert seen["wrong"][0] is False
    assert seen["wrong"][1] > 0.1 > seen["right"][1]
    assert seen["right"][2] == seen["wrong"][2] == "torch"


def test_what_does_not_load_on_one_node_is_tried_on_the_other_and_is_then_a_sentence(
    seen: dict,
) -> None:
    assert seen["broken"].startswith("The step Outputs failed: ")
    assert len(seen["before"]) == 4
    assert seen["before"][2][0] != seen["before"][3][0]
    assert not any("given up" in sentence for sentence in seen["said"])


def test_libraries_leave_nothing_behind(seen: dict) -> None:
    assert seen["left"] == []


def test_a_runner_that_is_killed_while_it_times_a_model_costs_time_only(seen: dict) -> None:
    (killed, _), (other, _) = seen["after"]
    assert killed != other
    assert min(seen["duel"]) > 1
    assert sum("was lost and is replaced" in sentence for sentence in seen["said"]) == 1
