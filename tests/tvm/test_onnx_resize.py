"""Resize and Upsample of ONNX in their modes, against ONNX Runtime or ONNX's reference."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.interpolation import Axis, cubic, linear, nearest, taps
from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

TRANSFORMATIONS = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"),
)
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
SIZES = ((1, 2, 10, 7), (1, 2, 3, 9), (1, 2, 10, 14))
"""Of outputs, for an input of 5 x 7: larger, smaller, and twice as large."""


def drawn(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (10 * np.random.default_rng(1).standard_normal(shape)).astype(dtype)


def resized(shape: tuple[int, ...], sizes: Any, folder: Path, **attributes: Any) -> None:
    feeds = {"x": drawn(*shape)}
    nodes = [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)]
    model = graph(nodes, feeds, ["y"], {"sizes": np.array(sizes)})
    assert_like_onnxruntime(model, feeds, folder, atol=1e-4)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_nearest(transformation: str, tmp_path: Path) -> None:
    x, nodes, outputs, weights = drawn(1, 2, 5, 7), [], [], {}
    for number, (rounding, sizes) in enumerate(product(ROUNDINGS, SIZES)):
        weights[f"s{number}"] = np.array(sizes)
        names, outputs = ["x", "", "", f"s{number}"], [*outputs, f"y{number}"]
        modes = {"coordinate_transformation_mode": transformation, "nearest_mode": rounding}
        nodes.append(helper.make_node("Resize", names, outputs[-1:], mode="nearest", **modes))
    assert_like_onnxruntime(graph(nodes, {"x": x}, outputs, weights), {"x": x}, tmp_path)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_weighted_sums(transformation: str, mode: str, tmp_path: Path) -> None:
    x, nodes, outputs, weights = drawn(1, 2, 5, 7), [], [], {}
    for number, sizes in enumerate(SIZES):
        weights[f"s{number}"] = np.array(sizes)
        names, outputs = ["x", "", "", f"s{number}"], [*outputs, f"y{number}"]
        modes = {"coordinate_transformation_mode": transformation, "mode": mode}
        nodes.append(helper.make_node("Resize", names, outputs[-1:], **modes))
    model = graph(nodes, {"x": x}, outputs, weights)
    assert_like_onnxruntime(model, {"x": x}, tmp_path, atol=1e-4)


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
        {"mode": "cubic", "antialias": 1},
        {"mode": "linear", "antialias": 1},
        {"mode": "linear", "axes": [3, 2], "keep_aspect_ratio_policy": "not_larger"},
        {"mode": "nearest", "axes": [2, 3], "keep_aspect_ratio_policy": "not_smaller"},
    ],
)
def test_options(attributes: dict[str, Any], tmp_path: Path) -> None:
    sizes = [4, 3] if "axes" in attributes else [1, 2, 4, 3]
    resized((1, 2, 9, 7), sizes, tmp_path, **attributes)


def test_a_cropping_resize_fills_what_lies_outside(tmp_path: Path) -> None:
    feeds = {"x": drawn(1, 1, 4, 4)}
    roi = np.array([0, 0, -0.35, 0.2, 1, 1, 0.9, 1.4], "float32")
    modes = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": "linear"}
    names = ["x", "roi", "", "sizes"]
    nodes = [helper.make_node("Resize", names, ["y"], extrapolation_value=7.0, **modes)]
    model = graph(nodes, feeds, ["y"], {"roi": roi, "sizes": np.array([1, 1, 5, 3])})
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("shape", [(1, 2, 6), (1, 2, 3, 4, 5), (3, 4)])
def test_any_rank(shape: tuple[int, ...], tmp_path: Path) -> None:
    feeds, scales = {"x": drawn(*shape)}, np.array([1.0] * len(shape), "float32")
    scales[-1] = 1.7
    scales[-2] = 2.0 if len(shape) != 3 else 1.0
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")]
    model = graph(nodes, feeds, ["y"], {"scales": scales})
    expected = ReferenceEvaluator(model).run(None, feeds)
    assert_same(computed(model, feeds, tmp_path), expected, atol=1e-4)


def test_scales_at_run_time_are_refused_as_many_lead_to_the_same_shape(tmp_path: Path) -> None:
    feeds = {"x": drawn(1, 1, 2, 2), "scales": np.array([1, 1, 2.3, 2.3], "float32")}
    model = graph([helper.make_node("Resize", ["x", "", "scales"], ["y"])], feeds, ["y"])
    declared = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 4, 4])
    model.graph.output[0].CopyFrom(declared)
    with pytest.raises(ModelError, match=r"Resize.*scales or sizes are computed at run time"):
        computed(model, feeds, tmp_path)


@pytest.mark.parametrize(("opset", "mode"), [(7, "nearest"), (9, "linear")])
def test_upsample(opset: int, mode: str, tmp_path: Path) -> None:
    feeds, scales = {"x": drawn(1, 2, 3, 4)}, [1.0, 1.0, 2.0, 3.0]
    weights = {} if opset < 9 else {"scales": np.array(scales, "float32")}
    given: dict[str, Any] = {"scales": scales} if opset < 9 else {}
    nodes = [helper.make_node("Upsample", ["x", *weights], ["y"], mode=mode, **given)]
    model = graph(nodes, feeds, ["y"], weights, opset=opset)
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_numbers_that_can_be_worked_out_by_hand() -> None:
    double, half = Axis(3, 6, 2.0), Axis(4, 2, 0.5)
    assert nearest(double, "asymmetric", "floor").tolist() == [0, 0, 1, 1, 2, 2]
    assert nearest(half, "half_pixel", "round_prefer_ceil").tolist() == [1, 3]
    parts = taps(half, "half_pixel", linear, 1)
    assert parts.places.tolist() == [[0, 1], [2, 3]]
    assert parts.weights.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    wide = taps(half, "half_pixel", linear, 1, antialias=True)
    np.testing.assert_allclose(wide.weights.sum(1), 1)
    assert cubic(np.array([0.0, 1.0, 2.0, 0.5])).tolist() == [1, 0, 0, 0.59375]
