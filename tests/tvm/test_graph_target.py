"""Graphs of torch.compile wait for a machine like the one that met them."""

import json
from pathlib import Path

import pytest
import torch

from chameleon_ray.interface import graph_cache


@pytest.fixture
def program() -> torch.export.ExportedProgram:
    return torch.export.export(torch.nn.Linear(4, 4).eval(), (torch.ones(1, 4),))


@pytest.mark.parametrize(
    ("changed", "another"),
    [({}, False), ({"mcpu": "generic"}, True), ({"num-cores": 64}, True)],
)
def test_a_graph_of_another_cpu_is_known(
    tmp_path: Path, program: torch.export.ExportedProgram, changed: dict, another: bool
) -> None:
    options = {"threads": 1}
    own = graph_cache.target_of(options)
    target = json.dumps({**json.loads(own), **changed}) if changed else own
    graph_cache.keep(tmp_path, program, options, target)
    assert graph_cache.options_of(tmp_path) == options
    assert graph_cache.is_of_another(tmp_path) is another


def test_more_cores_than_there_are_are_another_machine_s(
    tmp_path: Path, program: torch.export.ExportedProgram
) -> None:
    graph_cache.keep(tmp_path, program, {"threads": 4096}, "{}")
    assert graph_cache.is_of_another(tmp_path)
