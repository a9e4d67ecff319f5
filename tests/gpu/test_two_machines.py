"""A model tuned from a head without a driver, on a node with a simulated GPU."""

import json
from pathlib import Path

import pytest

from tests.gpu.conftest import simulated
from tests.ray.test_nodes import program
from tests.whole.command import Command
from tests.whole.onnx_net import dense_layers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The run's directory, the model's file, and what the command said."""
    simulated()  # or the tests are skipped
    folder = tmp_path_factory.mktemp("two_machines")
    model = dense_layers(folder / "dense.onnx", 32, 16, 24, 8)
    search = ("--explorer", "random", "--sampler", "greedy", "--trials", "2")
    options = ("--target", "cuda", *search, "--out", str(folder / "run"))
    done = program("tests/gpu/two_machines.py", model, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run", model, done.stdout


def test_a_head_without_a_driver_tunes_on_a_node_with_a_gpu(run: tuple[Path, str, str]) -> None:
    folder, _, said = run
    assert "Verified: same outputs as ONNX Runtime" in said
    assert "CUDA graphs" in said
    for name in ("model.so", "untuned.so"):
        assert b"__global__" not in (folder / name).read_bytes()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["launching"]["fault"] is None
    assert summary["verified"]["ok"]
    booked = {process["name"].split()[0]: process["busy"] for process in summary["processes"]}
    assert "verify" in booked["runner"]
    assert "verify" not in booked["model"], "as the head has no GPU"


@pytest.mark.parametrize(
    ("machine", "status", "said"),
    [
        ({"driver": None}, 3, "not verified, as there is no device here to run it on."),
        ({}, 0, "verified against ONNX Runtime"),
    ],
    ids=["no driver", "a GPU"],
)
def test_its_winners_are_applied(
    run: tuple[Path, str, str], machine: dict[str, None], status: int, said: str
) -> None:
    folder, model, _ = run
    (folder / "model.so").unlink(missing_ok=True)
    code, out, err = Command("apply", str(folder), model, environment=simulated(**machine)).wait()
    assert (code, err) == (status, "")
    assert said in out
    assert b"__global__" not in (folder / "model.so").read_bytes()
    assert ("CUDA graphs" in out) == (status == 0)


def test_it_is_timed_where_there_is_a_gpu_only(run: tuple[Path, str, str]) -> None:
    bench = Command("bench", str(run[0]), environment=simulated(driver=None))
    code, _, err = bench.wait()
    assert code == 1
    assert "This machine has no device to time" in err
