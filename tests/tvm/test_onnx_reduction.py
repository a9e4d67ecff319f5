"""Reductions of ONNX over any axes, of any type, against ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from chameleon_ray.compiler.frontend.onnx.implied import REDUCTIONS
from tests.tvm.onnx_graph import assert_like_onnxruntime, graph

KINDS = [f"Reduce{kind}" for kind in REDUCTIONS]
INF = np.inf


def drawn(*shape: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(1).standard_normal(shape), "float32")


def reduced(
    kinds: list[str], data: np.ndarray, axes: list[int] | None, opset: int = 20, **attributes: int
) -> onnx.ModelProto:
    """A graph of several reductions of the same data."""
    names = ["x"] if axes is None else ["x", "axes"]
    outputs = [f"y{kind}" for kind in kinds]
    nodes = [
        helper.make_node(kind, names, [output], **attributes)
        for kind, output in zip(kinds, outputs, strict=True)
    ]
    weights = {} if axes is None else {"axes": np.array(axes, np.int64)}
    return graph(nodes, {"x": data}, outputs, weights, opset=opset)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("shape", [(), (3, 5)])
def test_reduced_to_a_scalar(shape: tuple[int, ...], keepdims: int, tmp_path: Path) -> None:
    data = np.asarray(np.abs(drawn(*shape)) + 1, "float32")
    model = reduced(KINDS, data, None, keepdims=keepdims)
    assert_like_onnxruntime(model, {"x": data}, tmp_path)


@pytest.mark.parametrize("kind", ["ReduceLogSumExp", "ReduceMax", "ReduceMin"])
def test_large_numbers_reduced(kind: str, tmp_path: Path) -> None:
    data = drawn(3, 5) + 90
    assert_like_onnxruntime(reduced([kind], data, [-1]), {"x": data}, tmp_path)


def test_integers_stay_integers(tmp_path: Path) -> None:
    for dtype in ("int32", "int64"):
        data = np.array([[1, 2, 9], [3, 4, 5]], dtype)
        assert_like_onnxruntime(reduced(KINDS, data, [1]), {"x": data}, tmp_path)
        data = -data
        signed = [kind for kind in KINDS if "Log" not in kind]
        assert_like_onnxruntime(reduced(signed, data, [1]), {"x": data}, tmp_path)


def test_no_axes_reduce_each_element_by_itself(tmp_path: Path) -> None:
    data = np.array([[1.5, 2, 9], [3, 4, 0.5]], "float32")
    model = reduced(KINDS, data, [], noop_with_empty_axes=1)
    assert_like_onnxruntime(model, {"x": data}, tmp_path)
    signed = [kind for kind in KINDS if kind != "ReduceLogSum"]
    model = reduced(signed, -data, [], noop_with_empty_axes=1)
    assert_like_onnxruntime(model, {"x": -data}, tmp_path)


def test_no_axes_reduce_over_all(tmp_path: Path) -> None:
    data = np.abs(drawn(2, 3)) + 1
    assert_like_onnxruntime(reduced(KINDS, data, []), {"x": data}, tmp_path)


@pytest.mark.parametrize("axes", [[0], [1], [-1]])
@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMax"])
def test_axes_that_the_shape_does_not_tell_are_chosen_at_run_time(
    kind: str, axes: list[int], tmp_path: Path
) -> None:
    feeds = {"x": drawn(3, 3, 3), "axes": np.array(axes)}
    model = graph([helper.make_node(kind, ["x", "axes"], ["y"], keepdims=0)], feeds, ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 3])
    model.graph.output[0].CopyFrom(output)
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize(("kind", "end"), [("ReduceMax", -INF), ("ReduceMin", INF)])
def test_extremes_of_infinities(kind: str, end: float, tmp_path: Path) -> None:
    data = np.array([[end, end], [1, end]], "float32")
    model = graph([helper.make_node(kind, ["x"], ["y"], axes=[1])], {"x": data}, ["y"], opset=13)
    assert_like_onnxruntime(model, {"x": data}, tmp_path)


def test_extremes_of_truth_values(tmp_path: Path) -> None:
    data = np.array([[True, False], [True, True]])
    model = reduced(["ReduceMax", "ReduceMin"], data, [1], keepdims=0)
    assert_like_onnxruntime(model, {"x": data}, tmp_path)
