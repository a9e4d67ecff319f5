"""Models of 16-bit floats on CPUs: right values, short weights, and what the user is told."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np
import pytest
import tvm
from tvm import relax, te, topi
from tvm.ir import GenericConst
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import CUDA, LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower, lower_plainly
from chameleon_ray.compiler.relax import bindings_of, constant
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates.cpu_direct import cpu_direct
from chameleon_ray.options import Scheduling
from chameleon_ray.space import as_configs
from tests.tvm import layers

op = relax.op
RNG = np.random.default_rng(0)
TYPES = ("float16", "bfloat16")
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Largest relative error of a rounded number."""
TARGET = layers.tvm_target()
Array = np.ndarray


def drawn(dtype: str, *shape: int) -> Array:
    return (RNG.standard_normal(shape) / 4).astype(dtype)


def kept(array: Array) -> Expr:
    return constant(array, array.dtype.name)


def emit(x: Expr) -> Expr:
    return relax.BlockBuilder.current().emit(x)


def wide(array: Array) -> Array:
    return array.astype("float32")


def run(lowered: Any, *arrays: Array) -> Any:
    machine = relax.VirtualMachine(tvm.compile(lowered, layers.unoptimised()), tvm.cpu())
    outputs = machine["main"](*(tvm.runtime.tensor(array) for array in arrays))
    return outputs.numpy() if hasattr(outputs, "numpy") else [one.numpy() for one in outputs]


def constants(lowered: Any) -> list[Any]:
    """The types of the constants of ``main``, scalars left out."""
    values = [arg for b in bindings_of(lowered) for arg in getattr(b.value, "args", ())]
    inner = [one for value in values for one in getattr(value, "fields", [value])]
    return [one.ty for one in inner if isinstance(one, GenericConst) and one.ty.ndim > 0]


def conv(x: Array, w: Array) -> Array:
    """Convolution by its definition, in NCHW, without padding, in float32."""
    windows = np.lib.stride_tricks.sliding_window_view(wide(x), w.shape[2:], (2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, wide(w))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


Built = tuple[tuple[int, ...], Callable[[Expr], Expr], Callable[[Array], Array]]
"""A shape, what the model does to its input, and the same in float32 with numpy."""


def dense(dtype: str, columns: int) -> Built:
    w, b = drawn(dtype, 40, columns), drawn(dtype, columns)
    return (
        (6, 40),
        lambda x: op.nn.relu(emit(op.matmul(x, kept(w)) + kept(b))),
        lambda x: relu(x @ wide(w) + wide(b)),
    )


def convolution(dtype: str, channels: int, size: int) -> Built:
    w, b = drawn(dtype, channels, 8, size, size), drawn(dtype, 1, channels, 1, 1)
    return (
        (1, 8, 9, 12),
        lambda x: op.nn.relu(emit(op.nn.conv2d(x, kept(w)) + kept(b))),
        lambda x: relu(conv(x, w) + wide(b)),
    )


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


def test_every_number_survives_the_conversions() -> None:
    for dtype in TYPES:
        x = np.arange(1 << 16, dtype="uint16").view(dtype)
        lowered = lower(layers.graph(x.shape, op.negative, dtype), TARGET, LLVM)
        np.testing.assert_array_equal(wide(run(lowered, x)), -wide(x))


def test_results_are_rounded_to_the_nearest_even_number() -> None:
    for dtype in TYPES:
        x, y = (np.exp2(RNG.uniform(-9, 9, 5000)).astype(dtype) for _ in range(2))
        model = layers.graph(x.shape, lambda x, y=y: x * kept(y), dtype)
        output = run(lower(model, TARGET, LLVM), x)
        with np.errstate(over="ignore"):
            wanted = (wide(x) * wide(y)).astype(dtype)
        np.testing.assert_array_equal(wide(output), wide(wanted))


@pytest.mark.parametrize("masked", [-65504.0, -np.inf])
def test_masks_do_what_they_do_in_float16(masked: float) -> None:
    """The second row is masked as a whole, twice."""
    mask = np.zeros((4, 8), "float16")
    mask[0, 3:] = mask[1] = mask[2, 7] = masked
    x = drawn("float16", 4, 8) * np.float16(40)

    def build(x: Expr) -> Expr:
        return op.nn.softmax(emit(x + kept(mask)))

    output = run(lower(layers.graph(x.shape, build, "float16"), TARGET, LLVM), x)
    sums = wide(x + mask)
    with np.errstate(invalid="ignore"):
        powers = np.exp(sums - sums.max(-1, keepdims=True))
        wanted = powers / powers.sum(-1, keepdims=True)
    assert (output[0, 3:] == 0).all()
    np.testing.assert_allclose(wide(output), wanted, rtol=1e-3, atol=1e-6)


def test_conversions_of_the_model_round() -> None:
    x = np.array([1 + 2.0**-12, 2049, 70000, -1e-9, np.nan], "float32")

    def build(x: Expr) -> Expr:
        return emit(op.astype(emit(op.astype(x, "float16")), "float32"))

    output = run(lower(layers.graph(x.shape, build), TARGET, LLVM), x)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(output, x.astype("float16").astype("float32"))


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


def test_outputs_keep_their_types() -> None:
    """Of an input itself, of parts, of integers, and of a function of the importer's."""

    def build(x: Expr) -> Expr:
        builder = relax.BlockBuilder.current()
        parts = emit(op.split(x, 2, 1))
        doubled = builder.emit_te(lambda t: te.compute(t.shape, lambda i, j: t[i, j] * 2), x)
        ones = emit(op.astype(emit(op.greater(x, kept(np.zeros((), "float16")))), "int32"))
        return relax.Tuple([x, relax.Tuple([parts[0], doubled]), ones, op.astype(x, "float32")])

    x = drawn("float16", 3, 4)
    lowered = lower(layers.graph(x.shape, build, "float16"), TARGET, LLVM)
    machine = relax.VirtualMachine(tvm.compile(lowered, layers.unoptimised()), tvm.cpu())
    same, (part, doubled), ones, longer = machine["main"](tvm.runtime.tensor(x))
    for output, wanted in (
        *((same, x), (part, x[:, :2]), (doubled, x * 2), (longer, wide(x))),
        (ones, (x > 0).astype("int32")),
    ):
        assert output.numpy().dtype == wanted.dtype
        np.testing.assert_array_equal(output.numpy(), wanted)


def test_choices_are_widened_inside() -> None:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4,), "float16"))
    chosen = relax.Var("chosen", relax.TensorType((), "bool"))
    with builder.function("main", [chosen, x]):
        y = builder.emit(x * x)
        branches = [relax.SeqExpr([], one) for one in (y + x, op.negative(y))]
        builder.emit_func_output(builder.emit(relax.If(chosen, *branches)))
    lowered = lower(builder.get(), TARGET, LLVM)
    array = drawn("float16", 4)
    for choice, wanted in (True, array * array + array), (False, -array * array):
        output = run(lowered, np.array(choice), array)
        assert output.dtype == "float16"
        np.testing.assert_allclose(output, wanted, rtol=2e-3)


def test_sizes_that_are_known_at_run_time_only() -> None:
    builder, rows = relax.BlockBuilder(), tvm.tirx.Var("rows", "int64")
    x = relax.Var("x", relax.TensorType((rows, 4), "float16"))
    with builder.function("main", [x]):
        with builder.dataflow():
            matched = builder.match_cast(x, relax.TensorType((rows, 4), "float16"))
            square = builder.emit(op.multiply(matched, matched))
            out = builder.emit_output(builder.emit(op.multiply(square, matched)))
        builder.emit_func_output(out)
    lowered, array = lower(builder.get(), TARGET, LLVM), drawn("float16", 3, 4)
    output = run(lowered, array)
    assert output.dtype == "float16"
    np.testing.assert_array_equal(output, (wide(array) ** 3).astype("float16"))


@pytest.mark.parametrize(
    ("dtype", "wanted"), [("float16", ("vcvtph2ps",)), ("bfloat16", ("vpmovzxwd", "vpslld"))]
)
def test_kernels_convert_a_vector_of_weights_once(dtype: str, wanted: tuple[str, ...]) -> None:
    """In registers, for all rows of a tile."""
    shape, build, _ = dense(dtype, 64)
    target = resolve(json.dumps({"kind": "llvm", "mcpu": "skylake-avx512"}), 1)
    tasks = extract(lower(layers.graph(shape, build, dtype), _made(target), LLVM), target, LLVM)
    (task,) = (task for task in tasks if "matmul" in task.name)
    program = Program.loads(task.program)
    assert cpu_direct(program.module, _made(target)) is not None
    products = []
    for config in set(as_configs(task.space.random(np.random.default_rng(0), 8))):
        scheduled = program.schedule(config, LLVM.generator).mod
        code = tvm.compile(scheduled, _made(target)).mod.inspect_source("asm")
        assert all(code.count(name) == code.count(wanted[0]) for name in wanted)
        assert not re.search(r"call\w*\s+\S*extendhf", code)
        products.append(code.count("vfmadd") / code.count(wanted[0]))
    assert max(products) == shape[0]


def _made(target: str) -> Any:
    return tvm.target.Target(json.loads(target))


def test_the_user_is_told(caplog: pytest.LogCaptureFixture) -> None:
    old = _made(resolve(json.dumps({"kind": "llvm", "mcpu": "haswell"}), 1))
    new = _made(resolve(json.dumps({"kind": "llvm", "mcpu": "sapphirerapids"}), 1))
    model = layers.graph((4,), op.negative, "float16")
    with caplog.at_level(logging.WARNING):
        lower(model, old, LLVM)
        lower(model, new, LLVM)
        lower(layers.graph((4,), op.negative), old, LLVM)
        lower_plainly(model, old, LLVM)
    told = [record.getMessage() for record in caplog.records]
    begin = "What the model computes in float16 is computed in float32 with float16 weights, as "
    assert told == [
        f"{begin}this CPU has no float16 arithmetic.",
        f"{begin}there are no kernels yet that use this CPU's float16 arithmetic.",
    ]


def test_the_user_is_told_of_functions_that_are_left(caplog: pytest.LogCaptureFixture) -> None:
    def build(x: Expr) -> Expr:
        builder = relax.BlockBuilder.current()
        moved = builder.emit_te(topi.flip, x, primfunc_name_hint="flip")
        return builder.emit_te(topi.einsum, "i,i->", moved, moved, primfunc_name_hint="einsum")

    with caplog.at_level(logging.WARNING):
        lower(layers.graph((8,), build, "float16"), TARGET, LLVM)
    assert caplog.records[-1].getMessage() == (
        "The importer's einsum of float16 stays slow; give the model in float32 to have it faster."
    )


def test_gpus_compute_what_the_model_computes(caplog: pytest.LogCaptureFixture) -> None:
    target = tvm.target.Target({"kind": "cuda", "arch": "sm_80"})
    shape, build, _ = convolution("float16", 32, 3)
    with caplog.at_level(logging.WARNING):
        lowered = lower(layers.graph(shape, build, "float16"), target, CUDA)
    types = [binding.var.ty for binding in bindings_of(lowered)] + constants(lowered)
    assert {str(ty.dtype) for ty in types} == {"float16"}
    assert not caplog.records
