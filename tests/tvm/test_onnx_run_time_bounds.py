"""ONNX operators whose axes, bounds and pads come at run time, against ONNX Runtime."""

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


@pytest.mark.parametrize("axes", [[0], [1], [-1]])
@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMax"])
def test_axes_that_the_shape_does_not_tell_are_chosen_at_run_time(
    kind: str, axes: list[int], tmp_path: Path
) -> None:
    feeds = {"x": drawn(3, 3, 3), "axes": np.array(axes)}
    model = graph([node(kind, ["x", "axes"], ["y"], keepdims=0)], feeds, ["y"])
    assert_like_onnxruntime(declaring(model, 3, 3), feeds, tmp_path)


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


@pytest.mark.parametrize("axes", [{}, {"axes": [1, -1]}])
def test_slice_of_before_opset_10(axes: dict[str, list[int]], tmp_path: Path) -> None:
    feeds = {"x": drawn(6, 7, 5)}
    slicing = node("Slice", ["x"], ["y"], starts=[1, -3], ends=[100, -1], **axes)
    assert_like_onnxruntime(graph([slicing], feeds, ["y"], opset=9), feeds, tmp_path)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pad(mode: str, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 4), "pads": np.array([0, 3, 1, 2][:4])}
    if mode == "reflect":
        feeds["pads"] = np.array([1, 3, 0, 2])
    model = graph([node("Pad", ["x", "pads"], ["y"], mode=mode)], feeds, ["y"])
    assert_like_onnxruntime(declaring(model, 3, 9), feeds, tmp_path)


@pytest.mark.parametrize("kind", ["ReduceMax", "ReduceMin"])
def test_extremes_of_infinities_and_booleans(kind: str, tmp_path: Path) -> None:
    sign = -1 if kind == "ReduceMax" else 1
    feeds = {"x": np.array([[np.inf, np.inf], [1, np.inf]], "float32") * sign}
    model = graph([node(kind, ["x"], ["y"], axes=[1])], feeds, ["y"], opset=13)
    assert_like_onnxruntime(model, feeds, tmp_path)
    feeds = {"x": np.array([[True, False], [True, True]])}
    model = graph([node(kind, ["x", "a"], ["y"])], feeds, ["y"], {"a": np.array([1])})
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("kind", ["Elu", "Selu", "ThresholdedRelu"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_activations(kind: str, dtype: str, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 9).astype(dtype)}
    model = graph([node(kind, ["x"], ["y"], alpha=0.5)], feeds, ["y"], opset=22)
    assert_like_onnxruntime(model, feeds, tmp_path, 1e-2, 2e-3)


@pytest.mark.parametrize("order", [1, 2])
def test_lp_normalization_leaves_zeros(order: int, tmp_path: Path) -> None:
    feeds = {"x": drawn(3, 4)}
    feeds["x"][1] = 0
    model = graph([node("LpNormalization", ["x"], ["y"], p=order)], feeds, ["y"])
    assert_like_onnxruntime(model, feeds, tmp_path)
