"""The recipes in ``deploy/``: each against what takes it, as far as one can without a cluster."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads((ROOT / "tests" / "data" / "rayjob.schema.json").read_text())
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


def job() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())


def test_kuberay_takes_the_job() -> None:
    jsonschema.validate(job(), SCHEMA)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(shutDownAfterJobFinishes=True),
        lambda spec: spec["rayClusterSpec"].pop("headGroupSpec"),
        lambda spec: spec["rayClusterSpec"].update(rayVersion=2.6),
        lambda spec: spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"n": 0}),
        lambda spec: spec["rayClusterSpec"]["workerGroupSpecs"][0].update(replicas="2"),
        lambda spec: spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"].update(image="a"),
    ],
)
def test_a_wrong_job_is_found(spoil: Callable[[dict], Any]) -> None:
    wrong = deepcopy(job())
    spoil(wrong["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_the_jobs_cluster_is_closed_and_of_one_kind() -> None:
    cluster = job()["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"ray[rllib,tune]=={cluster['rayVersion']}" in (ROOT / "pyproject.toml").read_text()
    pods = [
        group["template"]["spec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    ]
    assert len({json.dumps(pod["nodeSelector"]) for pod in pods}) == 1
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    for pod in pods:
        sizes = pod["containers"][0]["resources"]
        assert sizes["limits"] == sizes["requests"]


def test_the_image_has_the_versions_of_all_nodes() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    (torch,) = re.findall(r"torch==\S+", image)
    assert torch in CONSTRAINTS.splitlines()
    assert "-c constraints.txt" in image
    assert "USER 1000" in image


@pytest.mark.parametrize("name", ["slurm.sh", "stop_when_idle.sh"])
def test_scripts_are_scripts(name: str) -> None:
    assert os.access(DEPLOY / name, os.X_OK)
    subprocess.run(["bash", "-n", DEPLOY / name], check=True)


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """Commands of Slurm and of a machine of one's own, which say how they were called."""
    for name, body in {
        "srun": 'printf "%s\\n" "$@"',
        "scontrol": "echo node7; echo node8",
        "sudo": f'echo "$@" >> {tmp_path}/said',
        "who": "true",
        "pgrep": f"cat {tmp_path}/processes",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").touch()
    (tmp_path / "processes").write_text("7 ray::IDLE\n")
    return tmp_path


def called(name: str, *arguments: str, folder: Path, **environment: str) -> str:
    """What a recipe's script prints where the stand-ins come first on the path."""
    return subprocess.run(
        [DEPLOY / name, *arguments],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_slurm_starts_ray_everywhere_and_tunes_on_the_first_node(stand_ins: Path) -> None:
    said = called(
        "slurm.sh",
        *("resnet-18", "--out", "a b"),
        folder=stand_ins,
        CHAMELEON_VENV=str(stand_ins),
        SLURM_JOB_NODELIST="node[7-8]",
        SLURM_JOB_NUM_NODES="2",
        SLURM_SUBMIT_DIR=str(ROOT),
    ).splitlines()
    assert said[:6] == ["ray", "symmetric-run", "--address", "node7:6379", "--min-nodes", "2"]
    assert said[6:8] == ["--", "python"]
    assert Path(said[8]).is_file()
    assert said[9:] == ["resnet-18", "--out", "a b"]


def test_a_machine_stops_when_it_has_been_idle(stand_ins: Path) -> None:
    mark = Path(f"/dev/shm/chameleon-{os.getuid()}-busy")
    assert not mark.exists(), "another test, or a cluster on this machine"
    try:
        called("stop_when_idle.sh", folder=stand_ins)  # it has just started
        called("stop_when_idle.sh", folder=stand_ins)
        long_ago = time.time() - 3660
        os.utime(mark, (long_ago, long_ago))
        (stand_ins / "processes").write_text("7 ray::IDLE\n8 ray::builder 1\n")
        called("stop_when_idle.sh", folder=stand_ins)
        assert mark.stat().st_mtime > long_ago
        assert not (stand_ins / "said").exists()
        os.utime(mark, (long_ago, long_ago))
        (stand_ins / "processes").write_text("7 ray::IDLE\n")
        called("stop_when_idle.sh", "90", folder=stand_ins)
        assert not (stand_ins / "said").exists()
        called("stop_when_idle.sh", "60", folder=stand_ins)
        assert (stand_ins / "said").read_text() == "shutdown -h now\n"
    finally:
        mark.unlink(missing_ok=True)
