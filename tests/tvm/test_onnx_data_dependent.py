"""ONNX operators whose outputs' sizes depend on the data, and what reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.tvm.onnx_graph import assert_like_onnxruntime, by_onnxruntime, graph

node = helper.make_node


def numbers(shape: tuple[int, ...], dtype: str = "float32", high: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(-1, high, shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((7,), "float32"), ((3, 4, 2), "int64"), ((2, 3), "bool"), ((), "int32")]
)
def test_non_zero(shape: tuple[int, ...], dtype: str, tmp_path: Path) -> None:
    feeds = {"x": numbers(shape, dtype)}
    assert_like_onnxruntime(graph([node("NonZero", ["x"], ["y"])], feeds, ["y"]), feeds, tmp_path)


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    feeds = {"x": np.zeros((3, 4), "float32")}
    assert_like_onnxruntime(graph([node("NonZero", ["x"], ["y"])], feeds, ["y"]), feeds, tmp_path)


def test_what_is_found_is_gathered_and_summed(tmp_path: Path) -> None:
    feeds = {"x": numbers((5, 6)), "data": numbers((5, 6), high=90)}
    nodes = [
        node("NonZero", ["x"], ["places"]),
        node("Transpose", ["places"], ["pairs"]),
        node("GatherND", ["data", "pairs"], ["found"]),
        node("Relu", ["found"], ["positive"]),
        node("ReduceSum", ["positive"], ["y"], keepdims=0),
        node("Mul", ["found", "y"], ["scaled"]),
    ]
    assert_like_onnxruntime(graph(nodes, feeds, ["y", "scaled"]), feeds, tmp_path)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_compress(axis: int | None, tmp_path: Path) -> None:
    chosen = np.array([True, False, True])
    feeds = {"x": numbers((4, 3, 5), high=50), "chosen": chosen}
    given = {} if axis is None else {"axis": axis}
    model = graph([node("Compress", ["x", "chosen"], ["y"], **given)], feeds, ["y"])
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize(
    ("shape", "dtype", "attributes"),
    [
        ((20,), "float32", {}),
        ((4, 6), "int64", {"sorted": 0}),
        ((9, 2), "float32", {"axis": 0}),
        ((3, 8, 2), "int8", {"axis": -2}),
        ((2, 9), "float64", {"axis": 1, "sorted": 0}),
    ],
)
def test_unique(
    shape: tuple[int, ...], dtype: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    feeds, outputs = {"x": numbers(shape, dtype, 2)}, ["y", "first", "inverse", "counts"]
    model = graph([node("Unique", ["x"], outputs, **attributes)], feeds, outputs)
    assert_like_onnxruntime(model, feeds, tmp_path)


def boxes(centred: bool = False) -> dict[str, np.ndarray]:
    """Boxes and scores of two images and three classes, some boxes and scores equal."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 1, (2, 12, 4)).astype("float32")
    corners[:, 3] = corners[:, 2]
    if not centred:
        corners[..., 2:] = corners[..., :2] + 0.5 * corners[..., 2:]
        corners[:, 5] = corners[:, 5][:, [2, 3, 0, 1]]
    scores = rng.integers(0, 9, (2, 3, 12)).astype("float32") / 9
    return {"boxes": corners, "scores": scores}


@pytest.mark.parametrize(
    ("most", "overlap", "score", "centred"),
    [
        (4, 0.3, 0.2, False),
        (12, 0.5, None, True),
        (3, None, 0.5, False),
        (None, 0.5, None, False),
        (12, 0.5, 2.0, False),
    ],
)
@pytest.mark.parametrize("fed", [False, True])
def test_non_max_suppression(
    most: int | None,
    overlap: float | None,
    score: float | None,
    centred: bool,
    fed: bool,
    tmp_path: Path,
) -> None:
    given = {
        name: np.array([value], dtype)
        for name, value, dtype in [
            ("most", most, "int64"),
            ("overlap", overlap, "float32"),
            ("score", score, "float32"),
        ]
        if value is not None
    }
    feeds = boxes(centred) | (given if fed else {})
    names = ["boxes", "scores", *(n if n in given else "" for n in ("most", "overlap", "score"))]
    suppress = node("NonMaxSuppression", names, ["y"], center_point_box=int(centred))
    model = graph([suppress], feeds, ["y"], {} if fed else given)
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_boxes_of_a_convolution_are_chosen_and_gathered(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    feeds = {"image": rng.standard_normal((1, 8, 6, 6)).astype("float32")}
    weights = {
        "w": rng.standard_normal((5, 8, 3, 3)).astype("float32") / 5,
        "flat": np.array([1, 5, -1]),
        "sizes": np.array([4, 1]),
        "most": np.array([5]),
        "overlap": np.array([0.4], "float32"),
        "box": np.array([2]),
        "zero": np.array(0),
    }
    nodes = [
        node("Conv", ["image", "w"], ["maps"], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["maps"], ["positive"]),
        node("Reshape", ["positive", "flat"], ["rows"]),
        node("Split", ["rows", "sizes"], ["sides", "scores"], axis=1),
        node("Transpose", ["sides"], ["boxes"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["chosen"]),
        node("Gather", ["chosen", "box"], ["column"], axis=1),
        node("Squeeze", ["column", "one"], ["places"]),
        node("Gather", ["boxes", "places"], ["y"], axis=1),
    ]
    weights["one"] = np.array([1])
    model = graph(nodes, feeds, ["y"], weights)
    assert by_onnxruntime(model, feeds)[0].shape[1] > 1
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_range_of_inputs(tmp_path: Path) -> None:
    feeds = {
        name: np.array(value, "float32") for name, value in [("a", 1), ("b", 8.5), ("c", 1.25)]
    }
    nodes = [node("Range", ["a", "b", "c"], ["numbers"]), node("Relu", ["numbers"], ["y"])]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"]), feeds, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_constant_of_a_shape_of_an_input(dtype: str, tmp_path: Path) -> None:
    feeds = {"shape": np.array([2, 0, 3])}
    value = helper.make_tensor("v", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [1], [1])
    model = graph([node("ConstantOfShape", ["shape"], ["y"], value=value)], feeds, ["y"])
    assert_like_onnxruntime(model, feeds, tmp_path)
    feeds = {"shape": np.array([2, 1, 3])}
    assert_like_onnxruntime(model, feeds, tmp_path)
