"""Constant expressions and batch norms: computed once, rightly, and gone from the module."""

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import Expr

from chameleon_ray.compiler.passes.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.relax import constant, operator

TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
RNG = np.random.default_rng(0)
MATRIX = RNG.uniform(0.5, 2, (300, 270)).astype("float32")
ROW = RNG.uniform(0.5, 2, 270).astype("float32")


def module(build: Callable[[relax.Var], Expr], shape: tuple[int, ...]) -> tvm.IRModule:
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(build(x))
        builder.emit_func_output(output)
    return builder.get()


def calls(mod: tvm.IRModule) -> list[str]:
    bindings = [binding for block in mod["main"].body.blocks for binding in block.bindings]
    return [operator(binding.value) for binding in bindings if operator(binding.value)]


def run(mod: tvm.IRModule, x: np.ndarray) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.compile(mod, TARGET), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x)).numpy()


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda m, r: m + r, MATRIX + ROW),
        (lambda m, r: m - r, MATRIX - ROW),
        (lambda m, r: m * r, MATRIX * ROW),
        (lambda m, r: m / r, MATRIX / ROW),
        (lambda m, r: relax.op.power(m, r), MATRIX**ROW),
        (lambda m, r: relax.op.maximum(m, r), np.maximum(MATRIX, ROW)),
        (lambda m, r: relax.op.minimum(m, r), np.minimum(MATRIX, ROW)),
        (lambda m, r: relax.op.sqrt(m), np.sqrt(MATRIX)),
        (lambda m, r: relax.op.rsqrt(m), 1 / np.sqrt(MATRIX)),
        (lambda m, r: relax.op.exp(m), np.exp(MATRIX)),
        (lambda m, r: relax.op.log(m), np.log(MATRIX)),
        (lambda m, r: relax.op.abs(relax.op.negative(m)), MATRIX),
        (lambda m, r: relax.op.permute_dims(m), MATRIX.T),
        (lambda m, r: relax.op.permute_dims(m, [1, 0]), MATRIX.T),
        (lambda m, r: relax.op.reshape(m, (10, 30, 270)), MATRIX.reshape(10, 30, 270)),
        (lambda m, r: relax.op.expand_dims(r, [0, 2]), ROW[None, :, None]),
        (lambda m, r: relax.op.squeeze(relax.op.expand_dims(r, [0])), ROW),
        (lambda m, r: relax.op.flatten(m), MATRIX.reshape(-1)),
        (lambda m, r: relax.op.broadcast_to(r, (3, 270)), np.broadcast_to(ROW, (3, 270))),
        (lambda m, r: relax.op.concat([m, m], 1), np.concatenate([MATRIX, MATRIX], 1)),
        (lambda m, r: relax.op.zeros_like(r), np.zeros_like(ROW)),
        (lambda m, r: relax.op.ones_like(r), np.ones_like(ROW)),
        (lambda m, r: relax.op.astype(m * r, "int64"), (MATRIX * ROW).astype("int64")),
    ],
)
def test_computes_what_relax_means(
    build: Callable[[Expr, Expr], Expr], expected: np.ndarray
) -> None:
    mod = module(lambda x: build(constant(MATRIX, "float32"), constant(ROW, "float32")), (1,))
    folded = fold_constants(mod)
    assert calls(folded) == []
    found = folded["main"].body.body.value.numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found, run(mod, np.zeros(1, "float32")), rtol=1e-5)


def test_folds_what_only_tvm_can_compute() -> None:
    mod = module(lambda x: x + relax.op.tanh(constant(ROW, "float32")), (270,))
    folded = fold_constants(relax.transform.LegalizeOps()(mod))
    assert calls(folded) == ["relax.call_tir"]
    found = run(folded, np.zeros(270, "float32"))
    np.testing.assert_allclose(found, np.tanh(ROW), rtol=1e-5)


def test_leaves_alone_what_depends_on_inputs() -> None:
    folded = fold_constants(module(lambda x: relax.op.exp(x * constant(ROW, "float32")), (270,)))
    assert calls(folded) == ["relax.multiply", "relax.exp"]


def test_does_not_spread_weights_out() -> None:
    mod = module(lambda x: relax.op.broadcast_to(constant(MATRIX, "float32"), (9, 300, 270)), (1,))
    assert calls(fold_constants(mod)) == ["relax.broadcast_to"]


def test_follows_constants_through_bindings_and_drops_the_unused() -> None:
    def build(x: relax.Var) -> Expr:
        scale = relax.op.sqrt(constant(ROW, "float32"))
        return x * relax.op.reshape(scale * scale, (1, 270))

    folded = fold_constants(module(build, (2, 270)))
    assert calls(folded) == ["relax.multiply"]
    assert len(folded["main"].body.blocks[0].bindings) == 1


def norm(x: Expr, channels: int, training: bool = False) -> Expr:
    rng = np.random.default_rng(channels)
    gamma, beta, mean, variance = (
        constant(values, "float32")
        for values in (
            rng.standard_normal(channels),
            rng.standard_normal(channels),
            rng.standard_normal(channels),
            rng.uniform(0.5, 2, channels),
        )
    )
    return relax.op.nn.batch_norm(
        x, gamma, beta, mean, variance, axis=1, epsilon=0.01, training=training
    )[0]


def weight(*shape: int) -> Expr:
    return constant(np.random.default_rng(7).standard_normal(shape), "float32")


def bias(*shape: int) -> Expr:
    return constant(np.random.default_rng(8).standard_normal(shape), "float32")


def conv(x: Expr, outputs: int = 4, inputs: int = 3, groups: int = 1) -> Expr:
    return relax.op.nn.conv2d(x, weight(outputs, inputs // groups, 3, 3), padding=1, groups=groups)


def shared(x: relax.Var) -> Expr:
    both = relax.BlockBuilder.current().emit(conv(x))
    return norm(both, 4) + both


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (lambda x: norm(conv(x), 4), ["conv2d", "add"]),
        (lambda x: norm(conv(x) + bias(1, 4, 1, 1), 4), ["conv2d", "add"]),
        (lambda x: norm(conv(x) + bias(4, 1, 1), 4), ["conv2d", "add"]),
        (lambda x: norm(conv(x) + bias(1, 1, 1, 1), 4), ["conv2d", "add"]),
        (lambda x: norm(conv(x, 6, groups=3), 6), ["conv2d", "add"]),
        (lambda x: norm(conv(x) + bias(1, 4, 6, 6), 4), ["conv2d", "add", "multiply", "add"]),
        (lambda x: norm(relax.op.nn.relu(conv(x)), 4), ["conv2d", "relu", "multiply", "add"]),
        (lambda x: norm(x, 3), ["multiply", "add"]),
        (lambda x: conv(norm(x, 3)), ["multiply", "add", "conv2d"]),
        (shared, ["conv2d", "multiply", "add", "add"]),
        (
            lambda x: relax.op.nn.conv2d_transpose(norm(conv(x), 4), weight(4, 2, 3, 3)),
            ["conv2d", "add", "conv2d_transpose"],
        ),
        (
            lambda x: norm(relax.op.nn.conv1d(relax.op.reshape(x, (2, 3, 36)), weight(4, 3, 3)), 4),
            ["reshape", "conv1d", "add"],
        ),
    ],
)
def test_folds_batch_norms(build: Callable[[relax.Var], Expr], left: list[str]) -> None:
    mod = module(build, (2, 3, 6, 6))
    folded = fold_batch_norm(fold_constants(mod))
    assert [name.rpartition(".")[2] for name in calls(folded)] == left
    x = RNG.standard_normal((2, 3, 6, 6)).astype("float32")
    np.testing.assert_allclose(run(folded, x), run(mod, x), rtol=1e-4, atol=1e-4)


def test_keeps_batch_norms_that_train() -> None:
    mod = fold_batch_norm(module(lambda x: norm(conv(x), 4, training=True), (2, 3, 6, 6)))
    assert "relax.nn.batch_norm" in calls(mod)
