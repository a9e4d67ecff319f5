"""The files for Ray's cluster launcher, and the script that is submitted with them."""

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from chameleon_ray.cluster.versions import PINNED

ROOT = Path(__file__).parents[2]
FILES = ["cluster.yaml", "cluster.onprem.yaml", "deploy/aws-cpu.yaml"]


def loaded(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_ray_takes_the_file(name: str) -> None:
    config = prepare_config(loaded(name))
    validate_config(config)
    with pytest.raises(Exception, match="workers_of_mine"):
        validate_config(config | {"workers_of_mine": 2})


def test_the_head_of_gpus_has_none() -> None:
    types = loaded("cluster.yaml")["available_node_types"]
    machines = {name: kind["node_config"]["InstanceType"] for name, kind in types.items()}
    assert machines["head"].startswith("m")
    assert machines["gpu"].startswith(("g", "p"))


def test_every_machine_of_ones_own_is_a_worker() -> None:
    config = loaded("cluster.onprem.yaml")
    count = len(config["provider"]["worker_ips"])
    assert config["min_workers"] == config["max_workers"] == count > 0


@pytest.mark.parametrize("name", FILES)
def test_every_node_installs_the_same_versions(name: str) -> None:
    config = loaded(name)
    (install,) = [line for line in config["setup_commands"] if "pip install" in line]
    assert "-c ~/chameleon_ray/constraints.txt" in install
    assert config["file_mounts"]["~/chameleon_ray"] == "."
    constrained = {
        line.partition("==")[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    own = [line for line in requires("chameleon_ray") or [] if "extra ==" not in line]
    names = {re.split(r"[\[=<>;]", line)[0] for line in own}
    assert names <= constrained
    assert set(PINNED) - {"chameleon_ray"} <= constrained


@pytest.mark.parametrize("name", FILES)
def test_no_cluster_is_open_to_everybody(name: str) -> None:
    config = loaded(name)
    assert "~/.ray/auth_token" in config["file_mounts"]
    assert any("RAY_AUTH_MODE=token" in line for line in config["setup_commands"])
    for start in (*config["head_start_ray_commands"], *config["worker_start_ray_commands"]):
        assert "dashboard-host" not in start
