"""Blocks that become depth or overlap, against ONNX Runtime."""

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


@pytest.mark.parametrize(("opset", "mode"), [(13, None), (26, "DCR"), (26, "CRD")])
def test_space_becomes_depth(opset: int, mode: str | None, tmp_path: Path) -> None:
    x = np.arange(32, dtype="float32").reshape(1, 2, 4, 4)
    parts = x.reshape(1, 2, 2, 2, 2, 2)
    order = (0, 1, 3, 5, 2, 4) if mode == "CRD" else (0, 3, 5, 1, 2, 4)
    given = {} if mode is None else {"mode": mode}
    nodes = [node("SpaceToDepth", ["x"], ["y"], blocksize=2, **given)]
    model = graph(nodes, {"x": x}, ["y"], opset=opset)
    assert_same(computed(model, {"x": x}, tmp_path), [parts.transpose(order).reshape(1, 8, 2, 2)])
