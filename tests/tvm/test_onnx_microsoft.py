"""Operators of ONNX Runtime's own domain, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from chameleon_ray.compiler.frontend.load import ModelError, load
from tests.tvm.onnx_graph import assert_like_onnxruntime, graph

DOMAIN = "com.microsoft"


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def check(
    kind: str,
    arrays: dict[str, np.ndarray],
    outputs: list[str],
    folder: Path,
    weights: str = "",
    domain: str = DOMAIN,
    **attributes: Any,
) -> None:
    """Compares an operator; inputs named in ``weights`` are constants, empty ones are left out."""
    names = [name if array.size else "" for name, array in arrays.items()]
    node = helper.make_node(kind, names, outputs, domain=domain, **attributes)
    given = {name: array for name, array in arrays.items() if array.size}
    feeds = {name: array for name, array in given.items() if name not in weights.split()}
    constants = {name: array for name, array in given.items() if name not in feeds}
    kept = [name for name in outputs if name]
    model = graph([node], feeds, kept, constants, 17, com_microsoft=1)
    assert_like_onnxruntime(model, feeds, folder)


NONE = np.zeros(0, "float32")


@pytest.mark.parametrize(
    ("activation", "params"),
    [
        ("Relu", []),
        ("Tanh", []),
        ("Sigmoid", []),
        ("LeakyRelu", [0.2]),
        ("Clip", [-0.5, 0.75]),
        ("HardSigmoid", [0.3, 0.4]),
    ],
)
def test_fused_convolution(activation: str, params: list[float], tmp_path: Path) -> None:
    arrays = {"x": drawn(1, 3, 6, 6), "w": drawn(4, 3, 3, 3), "b": drawn(4)}
    arrays["z"] = drawn(1, 4, 6, 6)
    given: dict[str, Any] = {"activation": activation, "pads": [1, 1, 1, 1]}
    given |= {"activation_params": params} if params else {}
    check("FusedConv", arrays, ["y"], tmp_path, "w b", **given)


@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_fused_product(turned: tuple[int, int], tmp_path: Path) -> None:
    arrays = {"a": drawn(2, 3, 4), "b": drawn(2, 4, 5)}
    arrays = {
        name: array.swapaxes(1, 2).copy() if one else array
        for (name, array), one in zip(arrays.items(), turned, strict=True)
    }
    check("FusedMatMul", arrays, ["y"], tmp_path, transA=turned[0], transB=turned[1], alpha=0.5)


@pytest.mark.parametrize("kind", ["Gelu", "FastGelu", "QuickGelu"])
def test_activations(kind: str, tmp_path: Path) -> None:
    check(kind, {"x": 2 * drawn(3, 8)}, ["y"], tmp_path)


@pytest.mark.parametrize("kind", ["BiasGelu", "FastGelu"])
def test_activations_of_sums(kind: str, tmp_path: Path) -> None:
    check(kind, {"x": drawn(3, 8), "b": drawn(8)}, ["y"], tmp_path)


@pytest.mark.parametrize("bias", [False, True])
def test_norms_of_sums(bias: bool, tmp_path: Path) -> None:
    arrays = {"x": drawn(2, 4, 8), "s": 2 * drawn(2, 4, 8), "g": drawn(8), "b": drawn(8)}
    arrays |= {"more": drawn(8)} if bias else {}
    check("SkipLayerNormalization", arrays, ["y", "", "", "sum"], tmp_path, epsilon=1e-3)
    arrays.pop("b")
    outputs = ["y", "", "", "sum"]
    check("SkipSimplifiedLayerNormalization", arrays, outputs, tmp_path, epsilon=1e-3)


def test_norm_by_root_mean_square(tmp_path: Path) -> None:
    arrays = {"x": drawn(2, 4, 8), "g": drawn(8)}
    check("SimplifiedLayerNormalization", arrays, ["y"], tmp_path, domain="", epsilon=1e-3)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_rotary_embedding(interleaved: int, first: bool, packed: bool, tmp_path: Path) -> None:
    arrays = {
        "x": drawn(2, 5, 24) if packed else drawn(2, 3, 5, 8),
        "p": np.array([3]) if first else np.array([[0, 1, 2, 3, 4], [5, 4, 7, 1, 2]]),
        "c": drawn(10, 4),
        "s": drawn(10, 4),
    }
    check("RotaryEmbedding", arrays, ["y"], tmp_path, "c s", interleaved=interleaved)


def test_part_of_a_head_is_turned(tmp_path: Path) -> None:
    arrays = {"x": drawn(2, 5, 24), "p": np.array([0]), "c": drawn(10, 2), "s": drawn(10, 2)}
    check("RotaryEmbedding", arrays, ["y"], tmp_path, "c s", num_heads=3, rotary_embedding_dim=4)


@pytest.mark.parametrize(
    ("mask", "attributes"),
    [
        (NONE, {}),
        (NONE, {"unidirectional": 1}),
        (np.array([5, 3], "int32"), {}),
        (np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], "int32"), {"scale": 0.3}),
    ],
)
def test_attention(mask: np.ndarray, attributes: dict[str, Any], tmp_path: Path) -> None:
    arrays = {"x": drawn(2, 5, 8), "w": drawn(8, 36) / 3, "b": drawn(36), "m": mask}
    check("Attention", arrays, ["y"], tmp_path, "w b", num_heads=3, **attributes)


@pytest.mark.parametrize("bias", [False, True])
def test_attention_of_many_heads(bias: bool, tmp_path: Path) -> None:
    arrays = {"q": drawn(2, 5, 12), "k": drawn(2, 7, 12), "v": drawn(2, 7, 18)}
    arrays |= {"b": drawn(42) if bias else NONE, "m": NONE, "a": drawn(2, 3, 5, 7)}
    check("MultiHeadAttention", arrays, ["y"], tmp_path, num_heads=3)


def test_caches_and_other_domains_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    feeds = {"x": drawn(1, 4)}
    node = helper.make_node("Relu", ["x"], ["y"], domain="mycompany")
    onnx.save(graph([node], feeds, ["y"], None, 17, mycompany=1), path)
    with pytest.raises(ModelError, match=r"mycompany\.Relu"):
        load(str(path))
