"""Pooling operators of ONNX, compared with ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from chameleon_ray.compiler.frontend.inputs import ModelError
from tests.tvm.onnx_graph import assert_like_onnxruntime, computed, graph

PICTURE = (1, 2, 7, 8)
KERNEL = {"kernel_shape": [3, 2]}
WINDOWS = {
    "plain": {},
    "lower": {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "upper": {"strides": [2, 3], "auto_pad": "SAME_UPPER"},
    "ceil": {"strides": [2, 3], "pads": [1, 0, 1, 1], "ceil_mode": 1},
    "dilated": {"dilations": [2, 3], "pads": [1, 1, 0, 1]},
}


def drawn(shape: tuple[int, ...] = PICTURE, dtype: str = "float32") -> np.ndarray:
    return (np.random.default_rng(0).normal(size=shape) * 20).astype(dtype)


def assert_pooled(folder: Path, kind: str, data: np.ndarray, **attributes: object) -> None:
    node = helper.make_node(kind, ["x"], ["y"], **attributes)
    assert_like_onnxruntime(graph([node], {"x": data}, ["y"]), {"x": data}, folder)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_windows_are_those_of_onnxruntime(kind: str, window: dict, tmp_path: Path) -> None:
    assert_pooled(tmp_path, kind, drawn(), **KERNEL, **window)


def test_rounded_windows_count_declared_padding_only(tmp_path: Path) -> None:
    assert_pooled(
        *(tmp_path, "AveragePool", drawn()), **KERNEL, **WINDOWS["ceil"], count_include_pad=1
    )


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 2, 5, 6, 4)])
def test_lines_and_volumes(shape: tuple[int, ...], tmp_path: Path) -> None:
    kernel = [2] * (len(shape) - 2)
    assert_pooled(tmp_path, "AveragePool", drawn(shape), kernel_shape=kernel, auto_pad="SAME_LOWER")
    assert_pooled(tmp_path, "LpPool", drawn(shape), kernel_shape=kernel, p=3)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_bytes_are_padded_by_less_than_any(dtype: str, tmp_path: Path) -> None:
    data = (-np.abs(drawn())).astype("int8").astype(dtype)
    assert_pooled(tmp_path, "MaxPool", data, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("order", [0, 1])
def test_places_of_the_largest(window: dict, order: int, tmp_path: Path) -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], **KERNEL, **window, storage_order=order)
    data = np.round(drawn() / 10)  # with equal values, of which the first counts
    assert_like_onnxruntime(graph([node], {"x": data}, ["y", "i"]), {"x": data}, tmp_path)


@pytest.mark.parametrize("shape", [None, (1, 2, 8, 9)])
def test_unpooled(shape: tuple[int, ...] | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = drawn((1, 2, 3, 3))
    places = np.arange(18 * 4)[rng.choice(72, 18, replace=False)].reshape(1, 2, 3, 3)
    weights = {} if shape is None else {"s": np.asarray(shape)}
    node = helper.make_node(
        "MaxUnpool", ["x", "i", *weights], ["y"], kernel_shape=[2, 2], strides=[2, 2]
    )
    feeds = {"x": data, "i": places}
    assert_like_onnxruntime(graph([node], feeds, ["y"], weights), feeds, tmp_path)


def test_places_by_column_of_a_volume_are_refused(tmp_path: Path) -> None:
    data = drawn((1, 1, 4, 4, 4))
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2] * 3, storage_order=1)
    with pytest.raises(ModelError, match="storage_order is by column; export it by row"):
        computed(graph([node], {"x": data}, ["y", "i"]), {"x": data}, tmp_path)


def test_largest_samples_of_regions_are_refused(tmp_path: Path) -> None:
    feeds, regions = {"x": drawn()}, {"r": np.array([[0, 0, 5, 6]], "float32"), "b": np.array([0])}
    node = helper.make_node("RoiAlign", ["x", *regions], ["y"], mode="max")
    with pytest.raises(ModelError, match=r"RoiAlign.*its mode is 'max'"):
        computed(graph([node], feeds, ["y"], regions), feeds, tmp_path)


def test_pooling_of_open_extents_is_refused_by_name(tmp_path: Path) -> None:
    feeds = {"x": drawn(), "chosen": np.array([True, False] * 3 + [True])}
    nodes = [
        helper.make_node("Compress", ["x", "chosen"], ["rows"], axis=2),
        helper.make_node("MaxPool", ["rows"], ["y"], kernel_shape=[2, 2]),
    ]
    with pytest.raises(ModelError, match=r"\(MaxPool\).*only known at run time"):
        computed(graph(nodes, feeds, ["y"]), feeds, tmp_path)
