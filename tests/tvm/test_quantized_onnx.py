"""Converters of quantised ONNX operators, against ONNX Runtime, plainly and in integers."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from chameleon_ray.compiler.frontend.inputs import ModelError
from tests.tvm.quantized_graphs import (
    Arrays,
    Graph,
    computed,
    expected,
    imported,
    products,
    rewritten,
)

MICROSOFT = "com.microsoft"
rng = np.random.default_rng(0)
FLOATS = rng.standard_normal((2, 3, 8)).astype("float32")
BYTES = rng.integers(0, 256, (2, 3, 8)).astype("uint8")
IMAGE = rng.integers(0, 256, (1, 4, 6, 6)).astype("uint8")


def check(model: onnx.ModelProto, inputs: Arrays, steps: float = 1) -> Any:
    """Compares results with ONNX Runtime's; returns the module after the pass.

    Args:
        model: The model.
        inputs: Its inputs.
        steps: Largest difference of integers, where the operators' own rounding may differ.
    """
    module = imported(model, inputs)
    theirs = expected(model, inputs)
    for plainly in (False, True):
        for one, other in zip(computed(module, inputs, plainly), theirs, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            largest = np.abs(other.astype("f8")).max()
            tolerance = steps if "int" in one.dtype.name else 1e-5 * largest
            assert np.abs(one.astype("f8") - other.astype("f8")).max() <= tolerance
            assert largest > 1, "a graph whose results are all alike shows nothing"
    return rewritten(module)


def one(kind: str, inputs: Arrays, *constants: np.ndarray, version: int = 17, **rest: Any) -> Any:
    """A model of one node, which reads the inputs and then the constants."""
    graph = Graph(version)
    names = [graph.constant(array, array.dtype.name) for array in constants]
    domain = rest.pop("domain", "")
    return graph.model(inputs, [graph.add(kind, *inputs, *names, domain=domain, **rest)])


def f32(*values: float) -> np.ndarray:
    return np.asarray(values if len(values) > 1 else values[0], "float32")


def ints(dtype: str, *values: int) -> np.ndarray:
    return np.asarray(values if len(values) > 1 else values[0], dtype)


QUANTIZING: dict[str, dict[str, Any]] = {
    "no zero point": {"constants": (f32(0.02),)},
    "signed": {"constants": (f32(0.02), ints("int8", -3))},
    "of one element": {"constants": (f32(0.02).reshape(1), ints("uint8", 7).reshape(1))},
    "axis 1": {"constants": (f32(0.1, 0.02, 0.3), ints("uint8", 1, 2, 3))},
    "last axis": {
        "constants": (np.linspace(0.01, 0.1, 8).astype("f4"), np.arange(8, dtype="uint8")),
        "axis": -1,
    },
    "16 bits": {"constants": (f32(0.001), ints("uint16", 20000)), "version": 21},
    "blocks": {
        "constants": (
            np.linspace(0.01, 0.1, 18).reshape(2, 3, 3).astype("f4"),
            np.arange(18, dtype="uint8").reshape(2, 3, 3),
        ),
        "axis": 2,
        "block_size": 3,
        "version": 21,
    },
}


@pytest.mark.parametrize("name", QUANTIZING)
def test_quantize_linear(name: str) -> None:
    case = dict(QUANTIZING[name])
    check(one("QuantizeLinear", {"x": FLOATS}, *case.pop("constants"), **case), {"x": FLOATS}, 0)


DEQUANTIZING: dict[str, dict[str, Any]] = {
    "no zero point": {"constants": (f32(0.2),)},
    "axis 1": {"constants": (f32(0.1, 0.2, 0.3), ints("uint8", 1, 2, 3))},
    "blocks": {
        "constants": (
            np.linspace(0.1, 1, 12).reshape(2, 3, 2).astype("f4"),
            np.arange(12, dtype="uint8").reshape(2, 3, 2),
        ),
        "axis": 2,
        "block_size": 4,
        "version": 21,
    },
    "half scale": {"constants": (np.float16(0.25).reshape(()), ints("uint8", 9)), "version": 19},
}


@pytest.mark.parametrize("name", DEQUANTIZING)
def test_dequantize_linear(name: str) -> None:
    case = dict(DEQUANTIZING[name])
    check(one("DequantizeLinear", {"x": BYTES}, *case.pop("constants"), **case), {"x": BYTES})


def test_dequantize_linear_of_32_bits() -> None:
    inputs = {"x": np.asarray([2**31 - 1, -(2**31), 5, -70000], "int32")}
    check(one("DequantizeLinear", inputs, f32(0.5), axis=0), inputs)


@pytest.mark.parametrize("dtype", ["int4", "uint4"])
def test_weights_of_4_bits(dtype: str) -> None:
    graph, inputs = Graph(21), {"x": FLOATS[0]}
    low, high = (-8, 8) if dtype == "int4" else (0, 16)
    weights = graph.constant(rng.integers(low, high, (8, 5)).astype(dtype), dtype)
    scale = np.linspace(0.1, 1, 5)
    kernel = graph.dequantized(weights, scale, np.full(5, 3), dtype)
    y = graph.add("MatMul", graph.both("x", 0.02, 120), kernel)
    assert products(check(graph.model(inputs, [y]), inputs)) == {"int32": 1}


def test_floats_of_8_bits_are_refused() -> None:
    graph = Graph(19)
    zero = helper.make_tensor("zero", onnx.TensorProto.FLOAT8E4M3FN, [], [0.0])
    y = graph.add("QuantizeLinear", "x", graph.constant(0.1), "zero")
    model = graph.model({"x": FLOATS}, [y])
    model.graph.initializer.append(zero)
    with pytest.raises(ModelError, match="makes float8_e4m3fn; quantise the model to 8 bits"):
        imported(model, {"x": FLOATS})


def test_weights_quantised_in_the_graph_are_constants() -> None:
    graph, inputs = Graph(), {"x": FLOATS[0]}
    weights = graph.both(graph.constant(rng.standard_normal((8, 5))), 0.02, 0, "int8")
    y = graph.add("MatMul", graph.both("x", 0.02, 120), weights)
    assert products(check(graph.model(inputs, [y]), inputs)) == {"int32": 1}


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0])
def test_dynamic_quantize_linear(factor: float) -> None:
    inputs = {"x": np.abs(FLOATS) * np.float32(factor)}
    graph = Graph()
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"])
    graph.nodes.append(node)
    model = graph.model(inputs, ["y", "scale", "zero"])
    for plainly in (False, True):
        ours = computed(imported(model, inputs), inputs, plainly)
        for mine, theirs in zip(ours, expected(model, inputs), strict=True):
            np.testing.assert_array_equal(mine, theirs, strict=True)


WEIGHTS = rng.integers(-127, 128, (8, 5)).astype("int8")
KERNEL = rng.integers(-127, 128, (6, 4, 3, 3)).astype("int8")


def test_matmul_integer_of_constants() -> None:
    inputs = {"x": BYTES}
    for points in [(), (ints("uint8", 130),), (ints("uint8", 130), np.arange(5, dtype="int8"))]:
        mod = check(one("MatMulInteger", inputs, WEIGHTS, *points), inputs, 0)
        assert products(mod) == {"int32": 1}


def test_matmul_integer_of_values_at_run_time() -> None:
    inputs = {
        "x": BYTES[0],
        "w": rng.integers(0, 256, (8, 5)).astype("uint8"),
        "xp": ints("uint8", 130),
        "wp": rng.integers(0, 256, 5).astype("uint8"),
    }
    check(one("MatMulInteger", inputs), inputs, 0)


@pytest.mark.parametrize(
    "window", [{}, {"pads": [1, 2, 0, 1], "strides": [2, 1]}, {"auto_pad": "SAME_LOWER"}]
)
def test_conv_integer(window: dict[str, Any]) -> None:
    inputs = {"x": IMAGE}
    check(one("ConvInteger", inputs, KERNEL, ints("uint8", 77), **window), inputs, 0)


def test_conv_integer_with_zero_points_at_run_time() -> None:
    inputs = {"x": IMAGE, "w": KERNEL, "p": ints("uint8", 77)}
    check(one("ConvInteger", inputs, pads=[1] * 4), inputs, 0)


def test_q_linear_conv_with_bias_and_a_scale_for_each_channel() -> None:
    scales, bias = np.linspace(0.001, 0.002, 6).astype("f4"), rng.integers(-3000, 3000, 6)
    constants = (
        *(f32(0.02), ints("uint8", 99), KERNEL, scales, np.zeros(6, "int8")),
        *(f32(0.05), ints("uint8", 120), bias.astype("int32")),
    )
    mod = check(one("QLinearConv", {"x": IMAGE}, *constants, pads=[1] * 4), {"x": IMAGE})
    assert products(mod) == {"int32": 1}


def test_q_linear_matmul() -> None:
    constants = (
        *(f32(0.02), ints("uint8", 99), WEIGHTS, f32(0.003), ints("int8", 0)),
        *(f32(0.05), ints("uint8", 120)),
    )
    mod = check(one("QLinearMatMul", {"x": BYTES}, *constants), {"x": BYTES})
    assert products(mod) == {"int32": 1}


@pytest.mark.parametrize("quantised", [True, False])
def test_q_gemm(quantised: bool) -> None:
    bias = rng.integers(-3000, 3000, 5).astype("int32")
    constants = (
        *(f32(0.02), ints("uint8", 99), WEIGHTS.T, f32(0.003), ints("int8", 0), bias),
        *((f32(0.05), ints("uint8", 120)) if quantised else ()),
    )
    inputs = {"x": BYTES[0]}
    model = one("QGemm", inputs, *constants, domain=MICROSOFT, transB=1, alpha=0.5)
    assert products(check(model, inputs)) == {"int32": 1}


SCALE = (f32(0.02), ints("uint8", 99))
OTHER = (BYTES[::-1].copy(), f32(0.03), ints("uint8", 120))
POINTWISE: dict[str, dict[str, Any]] = {
    "QLinearAdd": {"constants": (*SCALE, *OTHER, f32(0.04), ints("uint8", 110))},
    "QLinearMul": {"constants": (*SCALE, *OTHER, f32(0.06), ints("uint8", 110))},
    "QLinearSigmoid": {"constants": (*SCALE, f32(1 / 255), ints("uint8", 0))},
    "QLinearLeakyRelu": {"constants": (*SCALE, f32(0.02), ints("uint8", 40)), "alpha": 0.2},
    "QLinearSoftmax": {
        "constants": (*SCALE, f32(1 / 255), ints("uint8", 0)),
        "axis": -1,
        "opset": 13,
    },
    "QLinearAveragePool": {
        "constants": (*SCALE, f32(0.02), ints("uint8", 90)),
        "kernel_shape": [3, 3],
        "x": IMAGE,
    },
    "QLinearGlobalAveragePool": {
        "constants": (*SCALE, f32(0.003), ints("uint8", 90)),
        "channels_last": 0,
        "x": IMAGE,
    },
}


@pytest.mark.parametrize("kind", POINTWISE)
def test_operators_on_quantised_tensors(kind: str) -> None:
    case = dict(POINTWISE[kind])
    inputs = {"x": case.pop("x", BYTES)}
    check(one(kind, inputs, *case.pop("constants"), domain=MICROSOFT, **case), inputs)


def test_q_linear_concat() -> None:
    graph, inputs = Graph(), {"x": BYTES, "y": BYTES[:, :2]}
    result = (graph.constant(0.04), graph.constant(120, "uint8"))
    left = (graph.constant(0.02), graph.constant(99, "uint8"))
    z = graph.add("QLinearConcat", *result, "x", *left, "y", *result, domain=MICROSOFT, axis=1)
    check(graph.model(inputs, [z]), inputs)


def test_products_of_data_quantised_at_run_time_are_of_integers() -> None:
    inputs = {"x": FLOATS}
    scales = np.linspace(0.1, 0.2, 5).astype("f4")
    constants = (WEIGHTS, scales, np.zeros(5, "int8"), f32(*range(5)))
    mod = check(one("DynamicQuantizeMatMul", inputs, *constants, domain=MICROSOFT), inputs)
    assert products(mod) == {"int32": 1}


def test_matmul_integer_to_float() -> None:
    inputs = {"x": BYTES}
    constants = (WEIGHTS, f32(0.02), f32(0.3), ints("uint8", 130), ints("int8", 2), f32(*range(5)))
    model = one("MatMulIntegerToFloat", inputs, *constants, domain=MICROSOFT)
    assert products(check(model, inputs)) == {"int32": 1}
