"""Slice and Pad of ONNX, whose bounds may come at run time, against ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.tvm.onnx_graph import assert_like_onnxruntime, graph

node = helper.make_node


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def declaring(model: onnx.ModelProto, *shape: int) -> onnx.ModelProto:
    """Declares the shape of the only output."""
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    model.graph.output[0].CopyFrom(output)
    return model


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps", "shape"),
    [
        ([1, 2], [3, 100], [0, 1], [1, 2], (2, 3, 5)),
        ([-2], [100], [-1], [1], (6, 7, 2)),
        ([100, 3], [-100, 0], [1, 0], [-3, -1], (3, 3, 5)),
    ],
)
def test_slice(
    starts: list[int],
    ends: list[int],
    axes: list[int],
    steps: list[int],
    shape: tuple[int, ...],
    tmp_path: Path,
) -> None:
    arrays = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    feeds = {"x": drawn(6, 7, 5), **{name: np.array(x) for name, x in arrays.items()}}
    model = graph([node("Slice", list(feeds), ["y"])], feeds, ["y"])
    assert_like_onnxruntime(declaring(model, *shape), feeds, tmp_path)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pad(mode: str, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 4), "pads": np.array([0, 3, 1, 2][:4])}
    if mode == "reflect":
        feeds["pads"] = np.array([1, 3, 0, 2])
    model = graph([node("Pad", ["x", "pads"], ["y"], mode=mode)], feeds, ["y"])
    assert_like_onnxruntime(declaring(model, 3, 9), feeds, tmp_path)


@pytest.mark.parametrize("axes", [None, [0, 1], [-1, 0]])
def test_slice_of_old_operator_sets(axes: list[int] | None, tmp_path: Path) -> None:
    feeds, given = {"x": drawn(5, 6)}, {} if axes is None else {"axes": axes}
    nodes = [node("Slice", ["x"], ["y"], starts=[1, -3], ends=[3, 1000], **given)]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], opset=9), feeds, tmp_path)
