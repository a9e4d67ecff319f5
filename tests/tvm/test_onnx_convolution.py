"""Convolutions of ONNX that are transposed or displaced, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

node = helper.make_node


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(
    "attributes",
    [
        {"output_shape": [9, 11], "strides": [2, 2]},
        {"output_shape": [8, 6], "strides": [3, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"dilations": [2, 1], "pads": [1, 0, 1, 1]},
        {"strides": [3, 2], "output_padding": [1, 1]},
    ],
)
def test_transposed_convolution(attributes: dict[str, Any], tmp_path: Path) -> None:
    feeds, weights = {"x": drawn(2, 3, 4, 5)}, {"w": drawn(3, 2, 3, 3)}
    model = graph([node("ConvTranspose", ["x", "w"], ["y"], **attributes)], feeds, ["y"], weights)
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_grouped_transposed_convolution_of_a_line(tmp_path: Path) -> None:
    feeds, weights = {"x": drawn(1, 4, 6)}, {"w": drawn(4, 3, 3)}
    nodes = [node("ConvTranspose", ["x", "w"], ["y"], group=2, strides=[2])]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], weights), feeds, tmp_path)


@pytest.mark.parametrize("automatic", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_convolution_with_automatic_padding(automatic: str, tmp_path: Path) -> None:
    feeds, weights = {"x": drawn(1, 2, 7, 8)}, {"w": drawn(3, 2, 3, 2)}
    attributes = {"auto_pad": automatic, "strides": [2, 3]}
    model = graph([node("Conv", ["x", "w"], ["y"], **attributes)], feeds, ["y"], weights)
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
