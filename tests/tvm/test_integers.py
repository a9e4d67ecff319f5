"""Quantised layers in integers: which layers become so, and the same results as in floats."""

from typing import Any

import numpy as np
import pytest

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.relax import bindings_of, operator
from tests.tvm.quantized_graphs import (
    Arrays,
    Graph,
    computed,
    expected,
    imported,
    operators,
    products,
    rewritten,
)

STEP = 0.05
"""Scale of what most graphs here give; results may be one step off, where sums are halfway."""


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def whole(*shape: int, low: int = -127, high: int = 128, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape)


def check(graph: Graph, inputs: Arrays, *outputs: str, step: float = STEP) -> Any:
    """Compares the results with ONNX Runtime's; returns the module after the pass."""
    model = graph.model(inputs, outputs)
    module = imported(model, inputs)
    for ours, theirs in zip(computed(module, inputs), expected(model, inputs), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        error = np.abs(ours.astype("f8") - theirs.astype("f8"))
        assert error.max() <= step * 1.001
        assert np.mean(error > step / 2) < 0.02
    return rewritten(module)


def conv(
    graph: Graph,
    x: str,
    weights: np.ndarray,
    scale: Any,
    dtype: str = "int8",
    zero: Any = 0,
    bias: np.ndarray | None = None,
    **window: Any,
) -> str:
    zeros = np.broadcast_to(zero, np.shape(scale))
    kernel = graph.dequantized(graph.constant(weights, dtype), scale, zeros, dtype, axis=0)
    more = [] if bias is None else [graph.constant(bias)]
    return graph.add("Conv", x, kernel, *more, **window)


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "per tensor": {"weights": whole(6, 5, 3, 3), "scale": 0.002},
    "per channel": {"weights": whole(6, 5, 3, 3), "scale": np.linspace(0.001, 0.003, 6)},
    "unsigned weights": {
        "weights": whole(6, 5, 3, 3, low=0, high=256),
        "scale": 0.002,
        "dtype": "uint8",
        "zero": 131,
    },
    "zero point of each channel": {
        "weights": whole(6, 5, 3, 3),
        "scale": np.linspace(0.001, 0.003, 6),
        "zero": np.arange(6) - 3,
    },
    "padding, strides and dilation": {
        "weights": whole(6, 5, 3, 3),
        "scale": 0.002,
        "pads": [1, 0, 2, 1],
        "strides": [2, 1],
        "dilations": [1, 2],
    },
    "automatic padding": {"weights": whole(6, 5, 3, 3), "scale": 0.002, "auto_pad": "SAME_UPPER"},
    "depthwise": {"weights": whole(5, 1, 3, 3), "scale": 0.01, "group": 5, "pads": [1] * 4},
    "bias": {"weights": whole(6, 5, 1, 1), "scale": 0.01, "bias": draw(6, seed=2)},
}


@pytest.mark.parametrize(("zero", "dtype"), [(0, "uint8"), (117, "uint8"), (-20, "int8")])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_sums_of_integers(name: str, zero: int, dtype: str) -> None:
    graph, inputs = Graph(), {"x": draw(1, 5, 9, 8)}
    y = conv(graph, graph.both("x", 0.02, zero, dtype), **CONVOLUTIONS[name])
    y = graph.both(graph.add("Relu", y), STEP, zero, dtype)
    mod = check(graph, inputs, y)
    assert products(mod) == {"int32": 1}
    assert operators(mod)["nn.relu"] == 0


@pytest.mark.parametrize("rank", [1, 3])
def test_convolutions_of_other_ranks_are_sums_of_integers(rank: int) -> None:
    graph, inputs = Graph(), {"x": draw(1, 4, *[7] * rank)}
    y = conv(graph, graph.both("x", 0.02, 90), whole(6, 4, *[3] * rank), 0.002)
    assert products(check(graph, inputs, graph.both(y, STEP, 128))) == {"int32": 1}


@pytest.mark.parametrize("scale", [0.004, np.linspace(0.002, 0.006, 6)])
@pytest.mark.parametrize("shape", [(4, 12), (2, 3, 12)])
def test_products_are_sums_of_integers(shape: tuple[int, ...], scale: Any) -> None:
    graph, inputs = Graph(), {"x": draw(*shape)}
    weights = graph.constant(whole(12, 6), "int8")
    weights = graph.dequantized(weights, scale, np.zeros_like(scale), "int8", axis=1)
    y = graph.add("MatMul", graph.both("x", 0.02, 119), weights)
    y = graph.add("Add", y, graph.constant(draw(6, seed=3)))
    assert products(check(graph, inputs, graph.both(y, STEP, 128))) == {"int32": 1}


def test_gemm_with_transposed_weights_and_quantised_bias() -> None:
    graph, inputs = Graph(), {"x": draw(3, 12)}
    weights = graph.dequantized(graph.constant(whole(6, 12), "int8"), 0.01, 0, "int8")
    bias = graph.dequantized(graph.constant(whole(6) * 50, "int32"), 0.0002, 0, "int32", axis=0)
    y = graph.add("Gemm", graph.both("x", 0.02, 7), weights, bias, transB=1)
    mod = check(graph, inputs, graph.both(y, STEP, 100), step=STEP)
    assert products(mod) == {"int32": 1}
    sums = [binding.var for binding in bindings_of(mod) if operator(binding.value) == "relax.add"]
    assert "int32" in {str(var.ty.dtype) for var in sums}, "the bias is added to the integers"


def test_a_residual_block_has_no_floats_between_layers() -> None:
    graph, inputs = Graph(), {"x": draw(1, 8, 10, 10)}
    x = graph.both("x", 0.02, 128)
    stem = graph.both(graph.add("Relu", conv(graph, x, whole(8, 8, 3, 3), 0.001)), 0.02, 0)
    pooled = graph.add("MaxPool", stem, kernel_shape=[2, 2], strides=[2, 2])
    pooled = graph.both(pooled, 0.02, 0)
    left = graph.both(conv(graph, pooled, whole(8, 8, 3, 3), 0.001, pads=[1] * 4), 0.03, 120)
    total = graph.add("Relu", graph.add("Add", left, pooled))
    mod = check(graph, inputs, graph.both(total, STEP, 3))
    assert products(mod) == {"int32": 2}
    found = operators(mod)
    assert found["nn.max_pool2d"] == 1
    assert found["divide"] == 1, "only the input is quantised from floats"
    assert all(
        str(one.value.args[0].ty.dtype) == "uint8" for one in _calls(mod, "relax.nn.max_pool2d")
    )


def _calls(mod: Any, name: str) -> list[Any]:
    return [one for one in bindings_of(mod) if operator(one.value) == name]


def test_concatenated_tensors_are_requantised_where_they_are_made() -> None:
    graph, inputs = Graph(), {"x": draw(1, 4, 6, 6)}
    x = graph.both("x", 0.02, 128)
    parts = [
        graph.both(conv(graph, x, whole(4, 4, 1, 1, seed=seed), 0.002), 0.02 * seed, 100)
        for seed in (1, 2)
    ]
    mod = check(graph, inputs, graph.both(graph.add("Concat", *parts, axis=1), STEP, 128))
    assert all(
        str(part.ty.dtype) == "uint8"
        for concat in _calls(mod, "relax.concat")
        for part in concat.value.args[0].fields
    )


def test_floats_that_several_read_are_not_computed_twice() -> None:
    graph, inputs = Graph(), {"x": draw(1, 4, 6, 6)}
    y = conv(graph, graph.both("x", 0.02, 128), whole(4, 4, 1, 1), 0.002)
    y = graph.add("Add", y, graph.constant(draw(1, 4, 1, 1)))
    mod = check(graph, inputs, graph.both(y, STEP, 128), graph.add("Sigmoid", y))
    assert products(mod) == {"int32": 1}


def test_layers_that_are_not_quantised_stay_in_floats() -> None:
    graph, inputs = Graph(), {"x": draw(1, 4, 6, 6)}
    weights = graph.dequantized(graph.constant(whole(4, 4, 1, 1), "int8"), 0.002, 0, "int8")
    y = graph.add("Conv", "x", weights)
    z = graph.add("Conv", graph.both("x", 0.02, 128), graph.constant(draw(4, 4, 1, 1)))
    assert products(check(graph, inputs, y, z, step=1e-4)) == {"float32": 2}


def test_loops_for_gpus_are_right_in_floats() -> None:
    graph, inputs = Graph(), {"x": draw(1, 6, 9, 9)}
    scale = np.linspace(0.002, 0.006, 8)
    y = conv(graph, graph.both("x", 0.02, 117), whole(8, 6, 3, 3), scale, pads=[1, 1, 0, 2])
    y = graph.both(graph.add("Relu", y), STEP, 20)
    model = graph.model(inputs, [y])
    (ours,) = computed(imported(model, inputs), inputs, kind=CUDA)  # the loops, on the CPU
    error = np.abs(ours - expected(model, inputs)[0])
    assert error.max() <= STEP * 1.001
    assert np.mean(error > STEP / 2) < 0.02


def test_sums_that_could_leave_32_bits_stay_in_floats() -> None:
    graph, inputs = Graph(), {"x": draw(1, 70000)}
    weights = graph.constant(np.full((70000, 1), 127), "int8")
    y = graph.add("MatMul", graph.both("x", 0.02, 0), graph.dequantized(weights, 0.001, 0, "int8"))
    assert products(check(graph, inputs, y, step=0.5)) == {"float32": 1}


def test_the_largest_sums_are_exact() -> None:
    graph, inputs = Graph(), {"x": np.full((1, 512), 9, "float32")}
    weights = graph.constant(np.full((512, 8), 127), "int8")
    y = graph.add(
        "MatMul", graph.both("x", 0.02, 0), graph.dequantized(weights, 2.0**-7, 0, "int8")
    )
    mod = check(graph, inputs, y, step=1e-2)
    assert products(mod) == {"int32": 1}


@pytest.mark.parametrize(
    ("dtype", "zero"), [("uint8", 0), ("uint8", 255), ("int8", -128), ("int8", 0)]
)
def test_values_out_of_range_are_the_nearest_bound_and_halves_go_to_even(
    dtype: str, zero: int
) -> None:
    graph = Graph()
    row = [0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, np.inf, -np.inf, 127.5, -128.5, 254.5]
    inputs = {"x": np.asarray([row], "float32")}
    q = graph.add("QuantizeLinear", "x", graph.constant(1.0), graph.constant(zero, dtype))
    check(graph, inputs, q, step=0)


def test_clips_become_bounds_of_the_integers() -> None:
    graph, inputs = Graph(13), {"x": draw(1, 4, 6, 6)}
    y = conv(graph, graph.both("x", 0.02, 128), whole(4, 4, 1, 1), 0.01)
    y = graph.add("Clip", y, graph.constant(0.0), graph.constant(1.0))
    mod = check(graph, inputs, graph.both(y, STEP, 10))
    assert operators(mod)["maximum"] == operators(mod)["minimum"] == 2
