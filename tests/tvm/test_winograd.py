"""Winograd's algorithm computes the convolution, and is used where it is worth it."""

from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax, te

from chameleon_ray.compiler.apply import schedule_layers
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower, lowerings
from chameleon_ray.compiler.passes.winograd_cpu import A, B, G, loops
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.lowerings import extract_all
from chameleon_ray.compiler.spaces.operations import operations
from chameleon_ray.space import as_configs
from tests.tvm import layers

RNG = np.random.default_rng(0)
TARGET = layers.tvm_target()


def convolution(data: np.ndarray, kernel: np.ndarray, padding: tuple[int, ...]) -> np.ndarray:
    """By its definition, in float64: ``(N, H, W, C)`` and ``(3, 3, C, F)``."""
    top, left, bottom, right = padding
    padded = np.pad(data.astype("f8"), ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows, columns = padded.shape[1] - 2, padded.shape[2] - 2
    places = [(i, j) for i in range(3) for j in range(3)]
    return sum(padded[:, i : i + rows, j : j + columns] @ kernel[i, j] for i, j in places)


def convolution_model(shape: tuple[int, ...], weights: tuple[int, ...], **attributes: int) -> Any:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    kernel = constant(np.zeros(weights), "float32")
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(relax.op.nn.conv2d(x, kernel, **attributes))
        builder.emit_func_output(out)
    return builder.get()


@pytest.mark.parametrize("m", [2, 4])
def test_the_matrices_give_a_convolution(m: int) -> None:
    data, kernel = RNG.integers(-9, 9, m + 2), RNG.integers(-9, 9, 3)
    result = np.array(A[m]) @ ((np.array(G[m]) @ kernel) * (np.array(B[m]) @ data))
    assert result == pytest.approx(np.convolve(data, kernel[::-1], "valid"))


def additions(matrix: Any) -> int:
    """Operations of a matrix times a vector: none for zeros, and no product with 1 or -1."""
    rows = [[abs(value) for value in row if value] for row in matrix]
    negated = sum(next(value for value in row if value) < 0 for row in matrix)
    return negated + sum(len(row) - 1 + sum(value != 1 for value in row) for row in rows)


@pytest.mark.parametrize("m", [2, 4])
def test_the_operations_are_those_of_the_algorithm(m: int) -> None:
    """Each row of a transform counts once, though TVM's estimate has all rows at each place."""
    side, tiles, channels, filters = m + 2, 4 * 4, 8, 16
    data = te.placeholder((1, 4 * m, 4 * m, channels), name="data")
    weights = te.placeholder((side, side, filters // 8, channels, 8), name="weights")
    function = te.create_prim_func([data, weights, loops(data, weights, m, [1, 1, 1, 1])])
    products = 2 * side * side * tiles * channels * filters
    there = additions(B[m]) * 2 * side * tiles * channels
    back = additions(A[m]) * (side + m) * tiles * filters
    module = tvm.IRModule({"main": function})
    assert operations(module) == pytest.approx(products + there + back)
    estimate = float(tvm.s_tir.analysis.estimate_tir_flops(module))
    assert estimate > 1.2 * operations(module), "TVM counts them rightly now; leave it to TVM"


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize(
    ("shape", "padding"),
    [((1, 8, 8, 4), (1, 1, 1, 1)), ((2, 7, 9, 4), (0, 0, 0, 0)), ((1, 6, 5, 8), (2, 0, 1, 3))],
)
def test_the_loops_compute_a_convolution(
    m: int, shape: tuple[int, ...], padding: tuple[int, ...]
) -> None:
    data = RNG.standard_normal(shape).astype("float32")
    kernel = RNG.standard_normal((3, 3, shape[3], 8))
    transform = np.array(G[m])
    moved = np.einsum("ai,ijcf,bj->abcf", transform, kernel, transform)
    packed = moved.reshape(m + 2, m + 2, shape[3], 2, 4).transpose(0, 1, 3, 2, 4).astype("float32")
    x, w = te.placeholder(shape, "float32", "x"), te.placeholder(packed.shape, "float32", "w")
    function = te.create_prim_func([x, w, loops(x, w, m, padding)])
    expected = convolution(data, kernel, padding)
    out = tvm.runtime.tensor(np.zeros(expected.shape, "float32"))
    arguments = [tvm.runtime.tensor(np.ascontiguousarray(array)) for array in (data, packed)]
    tvm.compile(tvm.IRModule({"main": function}), TARGET).jit()["main"](*arguments, out)
    assert np.abs(out.numpy() - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("shape", "weights", "attributes", "used"),
    [
        ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}, True),
        ((1, 256, 14, 14), (256, 256, 3, 3), {"padding": 1}, True),
        ((1, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}, False),
        ((1, 3, 56, 56), (64, 3, 3, 3), {"padding": 1}, False),
        ((1, 64, 56, 56), (10, 64, 3, 3), {"padding": 1}, False),
        ((1, 64, 56, 56), (64, 64, 1, 1), {}, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1, "strides": 2}, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 2, "dilation": 2}, False),
        ((1, 64, 56, 56), (64, 1, 3, 3), {"padding": 1, "groups": 64}, False),
    ],
)
def test_it_is_used_where_it_is_worth_it(
    shape: tuple[int, ...], weights: tuple[int, ...], attributes: dict[str, int], used: bool
) -> None:
    lowered = lower(convolution_model(shape, weights, **attributes), TARGET, LLVM)
    assert any("winograd" in name.name_hint for name in lowered.functions) == used


@pytest.mark.parametrize(
    ("channels", "width", "names"),
    [
        (64, 56, [""]),  # four times as cheap as without
        (256, 14, ["Winograd 2x2", "Winograd 4x4"]),
        (512, 7, ["direct", "Winograd 2x2", "Winograd 4x4"]),
    ],
)
def test_what_is_nearly_as_cheap_is_measured(channels: int, width: int, names: list[str]) -> None:
    shape, weights = (1, channels, width, width), (channels, channels, 3, 3)
    first, *others = lowerings(convolution_model(shape, weights, padding=1), TARGET, LLVM)
    assert len(others) == len(names) - 1
    tasks = extract_all(first, others, layers.target(), LLVM)
    assert [task.lowering for task in tasks if task.flop > 1e6] == names


@pytest.mark.parametrize("tuned", [True, False])
def test_a_model_compiles_with_a_winner_and_without(tuned: bool) -> None:
    lowered = lower(convolution_model((1, 64, 16, 32), (64, 64, 3, 3), padding=1), TARGET, LLVM)
    tasks = {task.digest: task for task in extract(lowered, layers.target(), LLVM)}
    (layer,) = (task for task in tasks.values() if "winograd" in task.name)
    config = as_configs(layer.space.random(RNG, 1))[0]
    winners = {layer.digest: config} if tuned else {}
    model, applied = schedule_layers(lowered, tasks, winners, LLVM)
    assert applied == set(winners)
    tvm.compile(model, TARGET)
