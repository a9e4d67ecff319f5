"""What frameworks make of a user's model: known outputs, inputs as given, and why they cannot."""

import os
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from chameleon_ray.api.contestants import started
from chameleon_ray.compiler.frontend.frameworks import FRAMEWORKS
from chameleon_ray.compiler.frontend.frameworks.exported import exported
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.kinds import KINDS
from tests.tvm.onnx_graph import graph

CORE = min(os.sched_getaffinity(0))
RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4)).astype("float32")


class Scaled(torch.nn.Module):
    """A layer with an argument that is no tensor and one that comes by name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(8.0).reshape(2, 4))

    def forward(self, x: torch.Tensor, scale: int, shift: torch.Tensor) -> dict:
        return {"y": scale * (x @ self.weight.T) + shift, "nothing": None}


def scaled() -> tuple:
    return Scaled(), (torch.zeros(3, 4), 3, torch.zeros(2))


def named() -> tuple:
    return Scaled(), (torch.zeros(3, 4), 3), {"shift": torch.zeros(2)}


def random() -> torch.nn.Module:
    return torch.nn.Linear(4, 2)


def stored() -> torch.nn.Module:
    """A layer whose weights another program has left in the temporary directory."""
    made = torch.nn.Linear(4, 2)
    made.load_state_dict(torch.load(Path(tempfile.gettempdir(), "weights.pt")))
    return made


def source(model: str, *arrays: np.ndarray, **others) -> Source:
    known = {"inputs": (), "examples": (), "seed": 0, "cores": (CORE,)} | others
    return Source(model, arrays=arrays, **known)


def outputs(name: str, of: Source) -> tuple[np.ndarray, ...]:
    made = FRAMEWORKS[name].load(of)
    assert made.version
    return made.arrays(made.run())


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime"])
@pytest.mark.parametrize("factory", ["scaled", "named"])
def test_a_factory_s_module_is_run_with_all_of_its_arguments(name: str, factory: str) -> None:
    shift = np.array([1, -1], "float32")
    (found,) = outputs(name, source(f"{__name__}:{factory}", X, shift))
    weight = np.arange(8, dtype="float32").reshape(2, 4)
    np.testing.assert_allclose(found, 3 * X @ weight.T + shift, rtol=1e-5)


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime"])
def test_a_factory_finds_what_other_programs_left_in_the_temporary_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process has a directory of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    weights = torch.nn.Linear(4, 2)
    torch.save(weights.state_dict(), tmp_path / "weights.pt")
    of = source(f"{__name__}:stored", X, inputs=("input:3x4",))
    with closing(started(name, of, KINDS["llvm"], (CORE,))) as framework:
        framework.load(120)
        expected = weights(torch.from_numpy(X)).detach().numpy()
        np.testing.assert_allclose(framework.outputs[0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime"])
def test_weights_are_those_of_the_seed(name: str) -> None:
    found = [
        outputs(name, source(f"{__name__}:random", X, seed=seed, inputs=("input:3x4",)))[0]
        for seed in (1, 2)
    ]
    torch.manual_seed(1)
    with torch.no_grad():
        expected = random()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(found[1] - expected).max() > 0.01


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime"])
def test_an_exported_program_is_run(name: str, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(-1)).eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(3, 4),)), path)
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    (found,) = outputs(name, source(str(path), X))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_onnx_file_is_run_with_inputs_that_the_user_fixed(tmp_path: Path) -> None:
    path = tmp_path / "scaled.onnx"
    feeds = {"scale": np.array(2.0, "float32"), "x": X}
    onnx.save(graph([onnx.helper.make_node("Mul", ["scale", "x"], ["y"])], feeds, ["y"]), path)
    (found,) = outputs("onnxruntime", source(str(path), X, inputs=("scale=2.5",)))
    np.testing.assert_allclose(found, 2.5 * X)


def test_what_torch_cannot_export_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="torch cannot export it to ONNX"):
        exported(source(f"{__name__}:opaque", X, inputs=("x:3x4",)), tmp_path / "model.onnx")


class Opaque(torch.nn.Module):
    """A module with a value that depends on a tensor, which no exporter takes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = torch.frombuffer(bytearray(x.numpy().tobytes()), dtype=torch.float32)
        return torch.linalg.lstsq(values.reshape(x.shape), x).solution


def opaque() -> torch.nn.Module:
    return Opaque()


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime"])
def test_a_gpu_that_is_not_there_is_a_reason(name: str) -> None:
    with pytest.raises(ModelError, match=r"no GPU here|without CUDA"):
        outputs(name, source(f"{__name__}:random", X, inputs=("input:3x4",), gpu=True))
