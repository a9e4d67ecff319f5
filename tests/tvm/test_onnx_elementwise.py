"""Elementwise operators of ONNX at the ends of their types, compared with ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from chameleon_ray.compiler.frontend.inputs import ModelError
from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

NAN, INF = np.nan, np.inf


def assert_right(
    folder: Path, kind: str, *inputs: np.ndarray, opset: int = 21, **attributes: object
) -> None:
    feeds = {f"x{place}": array for place, array in enumerate(inputs)}
    node = helper.make_node(kind, list(feeds), ["y"], **attributes)
    assert_like_onnxruntime(graph([node], feeds, ["y"], opset=opset), feeds, folder)


@pytest.mark.parametrize("kind", ["Min", "Max"])
def test_extremes_of_what_is_no_number(kind: str, tmp_path: Path) -> None:
    left = np.asarray([NAN, 1, 2, -INF, NAN], "float32")
    right = np.asarray([3, NAN, 1, INF, NAN], "float32")
    assert_right(tmp_path, kind, left, right)
    assert_right(tmp_path, kind, left.reshape(5, 1), right, np.asarray(1.5, "float32"))
    assert_right(tmp_path, kind, np.asarray([1, -3], "int64"), np.asarray([[0], [2]], "int64"))


@pytest.mark.parametrize("fmod", [0, 1])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32"])
def test_remainders_of_every_sign(fmod: int, dtype: str, tmp_path: Path) -> None:
    if dtype == "float32" and not fmod:
        pytest.skip("ONNX has fmod only for floats")
    left = np.asarray([-7, 7, -7, 7, 6, 0], dtype)
    right = np.asarray([3, -3, -3, 3, -3, 5], dtype)
    assert_right(tmp_path, "Mod", left, right, fmod=fmod)


def test_powers_of_mixed_types(tmp_path: Path) -> None:
    whole = np.asarray([-3, 2, 5], "int32")
    assert_right(tmp_path, "Pow", whole, np.asarray([3, 4, 2], "int32"))
    assert_right(tmp_path, "Pow", whole, np.asarray([2, 0.5, 1], "float32"))
    assert_right(tmp_path, "Pow", whole.astype("float32"), np.asarray([3, -1, 2], "int64"))


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "uint64"])
@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_shifts(dtype: str, direction: str, tmp_path: Path) -> None:
    left, right = np.asarray([200, 4, 1], dtype), np.asarray([1, 3, 0], dtype)
    assert_right(tmp_path, "BitShift", left, right, direction=direction)


def test_shifted_by_the_width_or_less_than_none(tmp_path: Path) -> None:
    wide = np.asarray([1, 1, 3], "uint8"), np.asarray([7, 8, 200], "uint8")
    feeds = dict(zip("xn", wide, strict=True))
    node = helper.make_node("BitShift", ["x", "n"], ["y"], direction="LEFT")
    found = computed(graph([node], feeds, ["y"]), feeds, tmp_path)
    assert_same(found, [np.asarray([128, 0, 0], "uint8")])
    feeds = {"x": np.asarray([-8, 4, -1, 6], "int32"), "n": np.asarray([32, 40, -1, 1], "int32")}
    for direction, expected in (("LEFT", [0, 0, 0, 12]), ("RIGHT", [-1, 0, -1, 3])):
        node = helper.make_node("BitShift", ["x", "n"], ["y"], direction=direction)
        model = graph([node], feeds, ["y"], opset=21)
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.INT32, [4]))
        assert_same(computed(model, feeds, tmp_path), [np.asarray(expected, "int32")])


@pytest.mark.parametrize("detected", ["detect_positive", "detect_negative"])
def test_one_infinity(detected: str, tmp_path: Path) -> None:
    assert_right(tmp_path, "IsInf", np.asarray([INF, -INF, 1, NAN], "float32"), **{detected: 0})


def test_rounded_to_even_and_divided_to_zero(tmp_path: Path) -> None:
    halves = np.asarray([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], "float32")
    assert_right(tmp_path, "Round", halves)
    assert_right(tmp_path, "Div", np.asarray([-7, 7, -7]), np.asarray([2, -2, -2]))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16"])
def test_cast(dtype: str, tmp_path: Path) -> None:
    data = np.asarray([0.0, 1.7, 2.5, 200.9], "float32")
    to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    assert_right(tmp_path, "Cast", data, to=to)


def test_product_of_vectors(tmp_path: Path) -> None:
    line = np.arange(5, dtype="float32")
    assert_right(tmp_path, "MatMul", line, line + 1)
    assert_right(tmp_path, "Einsum", line, line + 1, equation="i,i->")


def test_clip_of_integers_without_an_end(tmp_path: Path) -> None:
    data = np.asarray([-5, 0, 9], "int32")
    node = helper.make_node("Clip", ["x", "", "high"], ["y"])
    model = graph([node], {"x": data}, ["y"], {"high": np.asarray(3, "int32")})
    assert_like_onnxruntime(model, {"x": data}, tmp_path)


@pytest.mark.parametrize("bound", [0.0, -INF])
def test_clip_keeps_what_is_no_number(bound: float, tmp_path: Path) -> None:
    data = np.asarray([NAN, -1, 3, 9], "float32")
    node = helper.make_node("Clip", ["x", "low", "high"], ["y"])
    weights = {"low": np.float32(bound), "high": np.float32(6)}
    model = graph([node], {"x": data}, ["y"], weights)
    assert_like_onnxruntime(model, {"x": data}, tmp_path)


@pytest.mark.parametrize("kind", ["Elu", "Selu", "ThresholdedRelu"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_activations(kind: str, dtype: str, tmp_path: Path) -> None:
    feeds = {"x": np.linspace(-2, 2, 18).astype(dtype)}
    model = graph([helper.make_node(kind, ["x"], ["y"], alpha=0.5)], feeds, ["y"], opset=22)
    assert_like_onnxruntime(model, feeds, tmp_path, 1e-2, 2e-3)


def test_a_dropout_that_drops_nothing_has_a_mask_of_all(tmp_path: Path) -> None:
    feeds = {"x": np.ones((3, 4), "float32")}
    model = graph([helper.make_node("Dropout", ["x"], ["y", "mask"])], feeds, ["y", "mask"])
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_a_dropout_in_training_is_refused(tmp_path: Path) -> None:
    feeds, weights = (
        {"x": np.ones((3, 4), "float32")},
        {"ratio": np.float32(0.5), "training": np.bool_(True)},
    )
    model = graph([helper.make_node("Dropout", ["x", *weights], ["y"])], feeds, ["y"], weights)
    with pytest.raises(ModelError, match=r"Dropout.*drops at random"):
        computed(model, feeds, tmp_path)
