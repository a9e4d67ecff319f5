"""Normalisations of ONNX, against ONNX Runtime or ONNX's reference."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(2, 3, 4, 5)).astype("float32")


def channels(*names: str) -> dict[str, np.ndarray]:
    return {name: np.asarray([0.5, 1.5, 2.5], "float32") for name in names}


def assert_right(
    folder: Path,
    kind: str,
    weights: dict[str, np.ndarray] | None = None,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 21,
    data: np.ndarray = DATA,
    **attributes: object,
) -> None:
    node = helper.make_node(kind, ["x", *(weights or {})], list(outputs), **attributes)
    model = graph([node], {"x": data}, outputs, weights, opset=opset)
    assert_like_onnxruntime(model, {"x": data}, folder)


@pytest.mark.parametrize("axis", [1, -1, 3])
@pytest.mark.parametrize("outputs", [("y",), ("y", "mean", "inverse")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_normalization(
    axis: int, outputs: tuple[str, ...], dtype: str, tmp_path: Path
) -> None:
    shape = DATA.shape[axis % 4 :]
    weights = {name: RNG.normal(size=shape).astype(dtype) for name in ("scale", "bias")}
    data = DATA.astype(dtype)
    assert_right(tmp_path, "LayerNormalization", weights, outputs, 17, data, axis=axis)


@pytest.mark.parametrize("axis", [-1, 2])
def test_rms_normalization(axis: int, tmp_path: Path) -> None:
    node = helper.make_node("RMSNormalization", ["x", "scale"], ["y"], axis=axis)
    scale = RNG.normal(size=DATA.shape[axis % 4 :]).astype("float32")
    model = graph([node], {"x": DATA}, ["y"], {"scale": scale}, opset=23)
    expected = ReferenceEvaluator(model).run(None, {"x": DATA})
    assert_same(computed(model, {"x": DATA}, tmp_path), [np.asarray(one) for one in expected])


def test_batch_normalization_in_training(tmp_path: Path) -> None:
    weights = channels("scale", "bias", "mean", "variance")
    outputs = ("y", "m", "v")
    assert_right(
        *(tmp_path, "BatchNormalization", weights, outputs, 15), training_mode=1, momentum=0.8
    )


def test_instance_normalization_of_distant_values(tmp_path: Path) -> None:
    weights = channels("scale", "bias")
    assert_right(tmp_path, "InstanceNormalization", weights, data=DATA + 20)


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
def test_old_operator_sets_flatten(kind: str, opset: int, tmp_path: Path) -> None:
    assert_right(tmp_path, kind, opset=opset, axis=2)


@pytest.mark.parametrize("order", [1, 2])
def test_lp_normalization_keeps_zeros(order: int, tmp_path: Path) -> None:
    data = DATA.copy()
    data[0, 1] = 0
    assert_right(tmp_path, "LpNormalization", data=data, p=order, axis=-1)


def test_mean_variance_normalization_of_distant_values(tmp_path: Path) -> None:
    assert_right(tmp_path, "MeanVarianceNormalization", data=DATA + 20)


def test_numbers_of_one_axis_follow_a_batch_norm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {name: rng.uniform(0.5, 1, 3).astype("float32") for name in "sbmv"}
    nodes = [
        helper.make_node("BatchNormalization", ["x", *"sbmv"], ["normal"]),
        helper.make_node("Mul", ["normal", "one"], ["y"]),
    ]
    feeds = {"x": rng.standard_normal((2, 3, 4, 5)).astype("float32")}
    weights["one"] = np.array([1.5], "float32")
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], weights), feeds, tmp_path)


def test_layer_normalization_of_rows_chosen_at_run_time(tmp_path: Path) -> None:
    feeds = {"x": DATA[0, 0], "chosen": np.array([True, False, True, True])}
    weights = {"scale": DATA[0, 1, 0], "bias": DATA[0, 1, 1]}
    nodes = [
        helper.make_node("Compress", ["x", "chosen"], ["rows"], axis=0),
        helper.make_node("LayerNormalization", ["rows", *weights], ["y"]),
    ]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], weights), feeds, tmp_path)
