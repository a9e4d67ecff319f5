"""Models of 16-bit floats on CPUs: right values and types, and what the user is told."""

import logging

import numpy as np
import pytest
import tvm
from tvm import relax, te, topi
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import CUDA, LLVM
from chameleon_ray.compiler.passes.lower import lower, lower_plainly
from chameleon_ray.compiler.relax import bindings_of
from tests.tvm import layers
from tests.tvm.short_floats import (
    TARGET,
    TYPES,
    constants,
    convolution,
    cpu,
    drawn,
    emit,
    kept,
    op,
    run,
    target_of,
    wide,
)

RNG = np.random.default_rng(0)


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
    with np.errstate(invalid="ignore", over="ignore"):
        sums = wide(x + mask)
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


def test_the_user_is_told(caplog: pytest.LogCaptureFixture) -> None:
    old = target_of(cpu("haswell"))
    new = target_of(cpu("sapphirerapids"))
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
    assert {str(binding.var.ty.dtype) for binding in bindings_of(lowered)} == {"float16"}
    weights, bias = constants(lowered)
    assert (str(weights.dtype), str(bias.dtype)) == ("float16", "float32")
    assert not caplog.records
