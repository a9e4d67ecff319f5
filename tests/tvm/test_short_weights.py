"""Weights of 16-bit floats on CPUs: which stay short, and how kernels read them."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower, lower_plainly
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates.cpu_direct import cpu_direct
from chameleon_ray.options import Scheduling
from chameleon_ray.space import as_configs
from tests.tvm import layers
from tests.tvm.short_floats import (
    TARGET,
    TYPES,
    Array,
    Built,
    constants,
    conv,
    convolution,
    cpu,
    dense,
    drawn,
    emit,
    kept,
    op,
    relu,
    run,
    target_of,
    wide,
)

RNG = np.random.default_rng(0)
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Largest relative error of a rounded number."""


def winograd(dtype: str) -> Built:
    w = drawn(dtype, 32, 16, 3, 3)
    return (1, 16, 26, 22), lambda x: op.nn.conv2d(x, kept(w)), lambda x: conv(x, w)


def depthwise(dtype: str) -> Built:
    w = drawn(dtype, 8, 1, 3, 3)
    return (
        (1, 8, 9, 12),
        lambda x: op.nn.conv2d(x, kept(w), groups=8),
        lambda x: np.concatenate([conv(x[:, [c]], w[[c]]) for c in range(8)], 1),
    )


def norm(dtype: str) -> Built:
    w = drawn(dtype, 16, 8, 1, 1)
    gamma, beta, mean, variance = (drawn(dtype, 16) ** 2 + 1 for _ in range(4))
    scale, shift = wide(gamma) / np.sqrt(wide(variance) + 1e-5), wide(beta)

    def build(x: Expr) -> Expr:
        x = emit(op.nn.conv2d(x, kept(w)))
        statistics = map(kept, (gamma, beta, mean, variance))
        return emit(op.nn.batch_norm(x, *statistics, axis=1, training=False))[0]

    def expected(x: Array) -> Array:
        scaled = (conv(x, w) - wide(mean).reshape(16, 1, 1)) * scale.reshape(16, 1, 1)
        return scaled + shift.reshape(16, 1, 1)

    return (1, 8, 5, 6), build, expected


CASES: dict[str, tuple[Callable[[str], Built], bool]] = {
    "dense": (lambda t: dense(t, 48), True),
    "dense, odd": (lambda t: dense(t, 5), False),
    "3x3": (lambda t: convolution(t, 32, 3), True),
    "1x1, blocks of 4": (lambda t: convolution(t, 20, 1), True),
    "odd channels": (lambda t: convolution(t, 10, 3), False),
    "Winograd": (winograd, False),
    "depthwise": (depthwise, False),
    "batch norm": (norm, True),
}
"""A layer of a 16-bit type, and whether its weights stay so."""


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CASES)
def test_layers_compute_in_float32_with_short_weights(name: str, dtype: str) -> None:
    made, short = CASES[name]
    shape, build, expected = made(dtype)
    model, x = layers.graph(shape, build, dtype), drawn(dtype, *shape)
    lowered, plain = lower(model, TARGET, LLVM), lower_plainly(model, TARGET, LLVM)
    wanted = expected(wide(x))
    bound = 1.01 * ROUNDING[dtype] * np.abs(wanted) + 1e-5 * np.abs(wanted).max()
    for output in run(lowered, x), run(plain, x):
        assert output.dtype == dtype
        assert (np.abs(wide(output) - wanted) <= bound).all()
    largest = max(constants(lowered), key=lambda ty: np.prod([int(n) for n in ty.shape]))
    assert str(largest.dtype) == (dtype if short else "float32")
    assert {str(ty.dtype) for ty in constants(plain)} == {"float32"}


def test_weights_stay_as_they_are_where_memory_is_saved() -> None:
    w, v = drawn("float16", 16, 8, 3, 3), drawn("float16", 8, 24, 1, 1)

    def build(x: Expr) -> Expr:
        both = emit(op.concat([x, emit(op.nn.conv2d(x, kept(w), padding=1))], 1))
        return op.nn.conv2d(both, kept(v))

    model, x = layers.graph((1, 8, 6, 6), build, "float16"), drawn("float16", 1, 8, 6, 6)
    lowered = lower(model, TARGET, LLVM, rewriting=Scheduling())
    assert "float16" in {str(ty.dtype) for ty in constants(lowered)}
    whole = np.concatenate([x, conv(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), w)], 1)
    np.testing.assert_allclose(run(lowered, x), conv(whole, v), rtol=1e-3, atol=1e-3)


def test_converted_weights_of_a_float32_model_stay_short() -> None:
    w, v = drawn("float16", 24, 32), drawn("float32", 32, 16)

    def build(x: Expr) -> Expr:
        x = emit(op.matmul(x, emit(op.astype(kept(w), "float32"))))
        return op.matmul(x, kept(v))

    x = drawn("float32", 6, 24)
    lowered = lower(layers.graph(x.shape, build), TARGET, LLVM)
    assert [str(ty.dtype) for ty in constants(lowered)] == ["float16", "float32"]
    np.testing.assert_allclose(run(lowered, x), x @ wide(w) @ v, rtol=1e-4, atol=1e-5)


def test_a_float32_model_is_left_alone() -> None:
    """Though float16 has every one of its weights."""
    w = wide(drawn("float16", 24, 32))
    lowered = lower(layers.graph((6, 24), lambda x: op.matmul(x, kept(w))), TARGET, LLVM)
    assert [str(ty.dtype) for ty in constants(lowered)] == ["float32"]


def test_rows_of_a_table_are_converted_when_they_are_taken() -> None:
    for dtype in TYPES:
        table = drawn(dtype, 50, 8)
        words = np.array([3, 49, 0], "int64")
        model = layers.graph(
            (3,), lambda x, t=table: op.nn.relu(emit(op.take(kept(t), x, 0))), "int64"
        )
        lowered = lower(model, TARGET, LLVM)
        assert [str(ty.dtype) for ty in constants(lowered)] == [dtype]
        np.testing.assert_array_equal(run(lowered, words), relu(table[words]))


@pytest.mark.parametrize(
    ("dtype", "wanted"), [("float16", ("vcvtph2ps",)), ("bfloat16", ("vpmovzxwd", "vpslld"))]
)
def test_kernels_convert_a_vector_of_weights_once(dtype: str, wanted: tuple[str, ...]) -> None:
    """In registers, for all rows of a tile."""
    shape, build, _ = dense(dtype, 64)
    target = cpu("skylake-avx512")
    tasks = extract(lower(layers.graph(shape, build, dtype), target_of(target), LLVM), target, LLVM)
    (task,) = (task for task in tasks if "matmul" in task.name)
    program = Program.loads(task.program)
    assert cpu_direct(program.module, target_of(target)) is not None
    products = []
    for config in set(as_configs(task.space.random(np.random.default_rng(0), 8))):
        scheduled = program.schedule(config, LLVM.generator).mod
        code = tvm.compile(scheduled, target_of(target)).mod.inspect_source("asm")
        assert all(code.count(name) == code.count(wanted[0]) for name in wanted)
        assert not re.search(r"call\w*\s+\S*extendhf", code)
        products.append(code.count("vfmadd") / code.count(wanted[0]))
    assert max(products) == shape[0]
