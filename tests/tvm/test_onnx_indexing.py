"""ONNX operators that choose, order and place elements, against ONNX Runtime or numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

node = helper.make_node


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def assert_like_reference(model: Any, feeds: dict[str, np.ndarray], folder: Path) -> None:
    expected = ReferenceEvaluator(model).run(None, feeds)
    assert_same(computed(model, feeds, folder), [np.asarray(one) for one in expected])


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("fed", [(), ("depth",), ("values",)])
def test_one_hot(axis: int, fed: tuple[str, ...], tmp_path: Path) -> None:
    arrays = {
        "x": np.array([[0, -1, 3], [5, -6, 2]]),
        "depth": np.array(5, "float32"),
        "values": np.array([0.5, 2], "float32"),
    }
    feeds = {name: array for name, array in arrays.items() if name in ("x", *fed)}
    weights = {name: array for name, array in arrays.items() if name not in feeds}
    model = graph([node("OneHot", list(arrays), ["y"], axis=axis)], feeds, ["y"], weights)
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize(
    ("attributes", "dtype"),
    [({}, "float32"), ({"axis": 0, "largest": 0}, "int64"), ({"axis": 1}, "float16")],
)
@pytest.mark.parametrize("fed", [False, True])
def test_top_k(attributes: dict[str, Any], dtype: str, fed: bool, tmp_path: Path) -> None:
    x, k = (np.round(2 * drawn(4, 6)).astype(dtype), np.array([3]))
    feeds = {"x": x, "k": k} if fed else {"x": x}
    nodes = [node("TopK", ["x", "k"], ["values", "places"], **attributes)]
    model = graph(nodes, feeds, ["values", "places"], {} if fed else {"k": k})
    if dtype == "float16":
        assert_like_reference(model, feeds, tmp_path)
    else:
        assert_like_onnxruntime(model, feeds, tmp_path)


def test_too_many_of_top_k_are_refused(tmp_path: Path) -> None:
    feeds = {"x": drawn(4)}
    model = graph([node("TopK", ["x", "k"], ["v", "i"])], feeds, ["v"], {"k": np.array([9])})
    with pytest.raises(Exception, match="takes 9 of 4 elements"):
        computed(model, feeds, tmp_path)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("exclusive", "reverse"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_sums_along_an_axis_that_is_fed(
    axis: int, exclusive: int, reverse: int, tmp_path: Path
) -> None:
    feeds = {"x": drawn(2, 3, 4), "axis": np.array(axis)}
    nodes = [node("CumSum", ["x", "axis"], ["y"], exclusive=exclusive, reverse=reverse)]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"]), feeds, tmp_path)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_sequences_are_reversed(axes: tuple[int, int], tmp_path: Path) -> None:
    feeds = {"x": drawn(4, 4, 2), "lengths": np.array([1, 4, 0, 3])}
    attributes = {"time_axis": axes[0], "batch_axis": axes[1]}
    model = graph([node("ReverseSequence", ["x", "lengths"], ["y"], **attributes)], feeds, ["y"])
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("mode", ["linear", "circular"])
def test_a_cache_is_written_into(mode: str, tmp_path: Path) -> None:
    feeds = {"cache": drawn(2, 3, 6, 4), "new": 9 + drawn(2, 3, 2, 4), "at": np.array([4, 1])}
    if mode == "circular":
        feeds["at"] = np.array([5, 1])
    nodes = [node("TensorScatter", ["cache", "new", "at"], ["y"], mode=mode)]
    assert_like_reference(graph(nodes, feeds, ["y"], opset=24), feeds, tmp_path)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_determinant(size: int, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 3, size, size)}
    feeds["x"][0, 0, 0, 0] = 0
    feeds["x"][1, 2] = 0
    assert_like_onnxruntime(graph([node("Det", ["x"], ["y"])], feeds, ["y"]), feeds, tmp_path)


@pytest.mark.parametrize("attributes", [{}, {"k": 2}, {"k": -1, "dtype": TensorProto.INT64}])
def test_eye_like(attributes: dict[str, Any], tmp_path: Path) -> None:
    feeds = {"x": drawn(3, 5)}
    model = graph([node("EyeLike", ["x"], ["y"], **attributes)], feeds, ["y"])
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_bits_are_read_as_another_type(tmp_path: Path) -> None:
    feeds = {"x": drawn(3, 5)}
    model = graph([node("BitCast", ["x"], ["y"], to=TensorProto.INT32)], feeds, ["y"], opset=26)
    assert_same(computed(model, feeds, tmp_path), [feeds["x"].view("int32")])
