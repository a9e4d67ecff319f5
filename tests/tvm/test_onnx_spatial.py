"""ONNX operators on windows, norms and signs, against ONNX Runtime or ONNX's reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from chameleon_ray.compiler.frontend.inputs import ModelError
from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

node = helper.make_node


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def assert_like_reference(model: Any, feeds: dict[str, np.ndarray], folder: Path) -> None:
    expected = ReferenceEvaluator(model).run(None, feeds)
    assert_same(computed(model, feeds, folder), [np.asarray(one) for one in expected])


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        {"kernel_shape": [3, 2], "dilations": [1, 2], "pads": [1, 0, 0, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 3], "auto_pad": "SAME_LOWER"},
        {"kernel_shape": [2, 2], "strides": [2, 2], "storage_order": 1},
    ],
)
def test_places_of_the_largest(attributes: dict[str, Any], tmp_path: Path) -> None:
    feeds = {"x": np.round(2 * drawn(2, 3, 7, 8))}  # with equal values, of which the first counts
    model = graph([node("MaxPool", ["x"], ["y", "i"], **attributes)], feeds, ["y", "i"])
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize(
    "attributes",
    [
        {"output_shape": [10, 8], "strides": [3, 2]},
        {"output_shape": [8, 6], "strides": [3, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
    ],
)
def test_a_transposed_convolution_of_a_given_shape(
    attributes: dict[str, Any], tmp_path: Path
) -> None:
    feeds, weights = {"x": drawn(1, 2, 3, 3)}, {"w": drawn(2, 4, 3, 3)}
    model = graph([node("ConvTranspose", ["x", "w"], ["y"], **attributes)], feeds, ["y"], weights)
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize("outputs", [["y"], ["y", "mean", "inverse"]])
def test_layer_normalization(axis: int, outputs: list[str], tmp_path: Path) -> None:
    feeds, shape = {"x": 3 + drawn(2, 3, 4)}, (2, 3, 4)[axis % 3 :]
    weights = {"scale": drawn(*shape), "bias": drawn(*shape)[::-1].copy()}
    names = ["x", *weights]
    nodes = [node("LayerNormalization", names, outputs, axis=axis, epsilon=1e-3)]
    assert_like_onnxruntime(graph(nodes, feeds, outputs, weights), feeds, tmp_path)


@pytest.mark.parametrize("axis", [-1, 0])
def test_rms_normalization(axis: int, tmp_path: Path) -> None:
    feeds, shape = {"x": drawn(2, 3)}, (2, 3)[axis % 2 :]
    nodes = [node("RMSNormalization", ["x", "scale"], ["y"], axis=axis)]
    model = graph(nodes, feeds, ["y"], {"scale": drawn(*shape)}, opset=23)
    assert_like_reference(model, feeds, tmp_path)


def test_batch_normalization_in_training(tmp_path: Path) -> None:
    feeds = {"x": 3 + drawn(2, 3, 4, 5)}
    weights = {name: np.abs(drawn(3)) + n for n, name in enumerate(("s", "b", "m", "v"))}
    outputs = ["y", "mean", "variance"]
    nodes = [node("BatchNormalization", ["x", *weights], outputs, training_mode=1, momentum=0.7)]
    assert_like_reference(graph(nodes, feeds, outputs, weights), feeds, tmp_path)


def test_remainders_have_the_right_sign(tmp_path: Path) -> None:
    left, right = np.array([-7, 7, -7, 7, 6]), np.array([3, -3, -3, 3, 3])
    feeds = {"x": left, "y": right, "a": left * 0.5, "b": right * 0.5}
    nodes = [
        node("Mod", ["x", "y"], ["floored"]),
        node("Mod", ["x", "y"], ["truncated"], fmod=1),
        node("Mod", ["a", "b"], ["floats"], fmod=1),
    ]
    outputs = ["floored", "truncated", "floats"]
    found = computed(graph(nodes, feeds, outputs), feeds, tmp_path)
    assert_same(found, [left % right, np.fmod(left, right), np.fmod(left * 0.5, right * 0.5)])


@pytest.mark.parametrize(
    ("base", "exponent"),
    [("float32", "int64"), ("int64", "float32"), ("int32", "int32"), ("float32", "float32")],
)
def test_powers_have_the_base_s_type(base: str, exponent: str, tmp_path: Path) -> None:
    feeds = {"x": np.array([1, 2, 3, 4], base), "y": np.array([4, 5, 0, 2], exponent)}
    model = graph([node("Pow", ["x", "y"], ["z"])], feeds, ["z"])
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_infinities_of_one_sign(tmp_path: Path) -> None:
    feeds = {"x": np.array([np.inf, -np.inf, np.nan, 1], "float32")}
    given: list[dict[str, int]] = [{}, {"detect_positive": 0}, {"detect_negative": 0}]
    nodes = [node("IsInf", ["x"], [f"y{n}"], **one) for n, one in enumerate(given)]
    model = graph(nodes, feeds, ["y0", "y1", "y2"])
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_shifts_by_more_than_the_width_leave_nothing(tmp_path: Path) -> None:
    feeds = {"x": np.array([1, 1, 3], "uint8"), "n": np.array([7, 8, 200], "uint8")}
    model = graph([node("BitShift", ["x", "n"], ["y"], direction="LEFT")], feeds, ["y"])
    (found,) = computed(model, feeds, tmp_path)
    assert found.tolist() == [128, 0, 0]


def test_a_dropout_that_drops_nothing_has_a_mask_of_all(tmp_path: Path) -> None:
    feeds = {"x": drawn(3, 4)}
    model = graph([node("Dropout", ["x"], ["y", "mask"])], feeds, ["y", "mask"])
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_a_dropout_in_training_is_refused(tmp_path: Path) -> None:
    feeds, weights = {"x": drawn(3, 4)}, {"ratio": np.float32(0.5), "training": np.bool_(True)}
    model = graph([node("Dropout", ["x", *weights], ["y"])], feeds, ["y"], weights)
    with pytest.raises(ModelError, match=r"Dropout.*drops at random"):
        computed(model, feeds, tmp_path)


@pytest.mark.parametrize(
    "attributes", [{}, {"strides": [2, 1], "pads": [1, 0, 1, 2]}, {"dilations": [1, 2]}]
)
def test_columns_become_a_picture(attributes: dict[str, Any], tmp_path: Path) -> None:
    size, block, count = np.array([6, 5]), np.array([2, 3]), 2
    pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
    dilations = attributes.get("dilations", [1, 1])
    steps = [
        (size[i] + pads[i] + pads[count + i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1
        for i in range(count)
    ]
    feeds = {"x": drawn(2, 3 * 6, int(np.prod(steps)))}
    nodes = [node("Col2Im", ["x", "size", "block"], ["y"], **attributes)]
    model = graph(nodes, feeds, ["y"], {"size": size, "block": block})
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_depth_by_channel(tmp_path: Path) -> None:
    feeds = {"x": np.arange(32, dtype="float32").reshape(1, 2, 4, 4)}
    model = graph([node("SpaceToDepth", ["x"], ["y"], blocksize=2)], feeds, ["y"], opset=13)
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_a_deformable_convolution_without_offsets_is_a_convolution(tmp_path: Path) -> None:
    feeds, weights = {"x": drawn(1, 4, 6, 5)}, {"w": drawn(6, 2, 3, 3)}
    weights["offset"] = np.zeros((1, 2 * 18, 3, 3), "float32")
    names = {"group": 2, "offset_group": 2, "strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        node("DeformConv", ["x", "w", "offset"], ["y"], kernel_shape=[3, 3], **names),
        node("Conv", ["x", "w"], ["z"], group=2, strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    model = graph(nodes, feeds, ["y", "z"], weights)
    found, expected = computed(model, feeds, tmp_path)
    assert_same([found], [expected])


def test_a_deformable_convolution_reads_between_pixels(tmp_path: Path) -> None:
    feeds = {"x": drawn(1, 2, 5, 5), "offset": 2 * drawn(1, 18, 3, 3)}
    weights = {"w": drawn(2, 2, 3, 3), "b": drawn(2), "mask": np.abs(drawn(1, 9, 3, 3))}
    names = ["x", "w", "offset", "b", "mask"]
    nodes = [node("DeformConv", names, ["y"], kernel_shape=[3, 3], pads=[0] * 4)]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], weights), feeds, tmp_path)
