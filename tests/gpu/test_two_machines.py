"""A model tuned from a head without a driver, on a node with a simulated GPU."""

import json
from pathlib import Path

from tests.gpu.conftest import simulator
from tests.ray.test_nodes import program
from tests.whole.onnx_net import dense_layers


def test_a_head_without_a_driver_tunes_on_a_node_with_a_gpu(tmp_path: Path) -> None:
    simulator()  # or the test is skipped
    run = tmp_path / "run"
    model = dense_layers(tmp_path / "dense.onnx", 32, 16, 24, 8)
    search = ("--explorer", "random", "--sampler", "greedy", "--trials", "2")
    options = ("--target", "cuda", *search, "--out", str(run))
    done = program("tests/gpu/two_machines.py", model, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verified: same outputs as ONNX Runtime" in done.stdout
    assert "CUDA graphs" in done.stdout
    for name in ("model.so", "untuned.so"):
        assert b"__global__" not in (run / name).read_bytes()
    summary = json.loads((run / "summary.json").read_text())
    assert summary["launching"]["fault"] is None
    assert summary["verified"]["ok"]
    booked = {process["name"].split()[0]: process["busy"] for process in summary["processes"]}
    assert "verify" in booked["runner"]
    assert "verify" not in booked["model"], "as the head has no GPU"
