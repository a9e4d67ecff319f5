"""Layouts: a model computes the same with channels innermost and without."""

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.layout import MOVABLE
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.relax import constant, operator

op = relax.op
TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
RNG = np.random.default_rng(0)
SHAPE = (1, 8, 10, 12)


def weights(*shape: int) -> Expr:
    return constant(RNG.standard_normal(shape) / 4, "float32")


def conv(x: Expr, inputs: int = 8, outputs: int = 8, groups: int = 1) -> Expr:
    return op.nn.conv2d(x, weights(outputs, inputs // groups, 3, 3), padding=1, groups=groups)


def emit(x: Expr) -> relax.Var:
    return relax.BlockBuilder.current().emit(x)


def halves(x: Expr, axis: int) -> Expr:
    both = emit(op.split(x, 2, axis))
    return op.concat([both[1], both[0]], axis)


def activations(x: Expr) -> Expr:
    x = op.nn.relu(op.tanh(x)) + op.nn.silu(x) - op.nn.gelu(op.negative(x))
    x = op.log(op.sqrt(op.exp(x)) + op.sigmoid(x))
    return x * op.rsqrt(op.abs(x) + constant(np.array(1.0), "float32"))


BETWEEN: dict[str, Callable[[Expr], Expr]] = {
    "add": lambda x: x + weights(1, 8, 1, 1),
    "subtract": lambda x: x - constant(np.array(2.0), "float32"),
    "multiply": lambda x: x * weights(8, 1, 1),
    "divide": lambda x: x / constant(RNG.uniform(1, 2, (12,)), "float32"),
    "maximum": lambda x: op.maximum(x, weights(1, 8, 10, 12)),
    "minimum": lambda x: op.minimum(x, weights(10, 1)),
    "conv2d": lambda x: conv(x, groups=4),
    "depthwise": lambda x: conv(x, 8, 8, groups=8),
    "max_pool2d": lambda x: op.nn.max_pool2d(x, (3, 3), 2, padding=1),
    "avg_pool2d": lambda x: op.nn.avg_pool2d(x, (3, 3), 2, padding=1, count_include_pad=True),
    "adaptive_avg_pool2d": lambda x: op.nn.adaptive_avg_pool2d(x, (3, 4)),
    "resize2d": lambda x: op.image.resize2d(x, (15, 17), layout="NCHW", method="linear"),
    "activations": activations,
    "mean": lambda x: x - op.mean(x, [-1, 2], keepdims=True),
    "sum": lambda x: x + op.sum(x, -3, keepdims=True),
    "softmax": lambda x: op.nn.softmax(x, 1),
    "softmax last": lambda x: op.nn.softmax(x, -1),
    "concat": lambda x: op.concat([x, op.nn.relu(x)], 2),
    "split": lambda x: halves(x, 1),
    "split rows": lambda x: halves(x, -2),
    "strided_slice": lambda x: op.strided_slice(x, [2, 3], [1, 0], [9, 12], [1, 2]),
    "permute_dims": lambda x: op.permute_dims(x, [0, 1, 3, 2]),
    "clip": lambda x: op.clip(x, -0.5, 1.5),
    "clip from below": lambda x: op.clip(x, 0.25, float("inf")),
    "leakyrelu": lambda x: op.nn.leakyrelu(x, 0.1),
    "steep leakyrelu": lambda x: op.nn.leakyrelu(x, 1.5),
    "prelu": lambda x: op.nn.prelu(x, weights(8), 1),
    "round": lambda x: op.round(x * constant(np.array(4.0), "float32")),
    "layer_norm": lambda x: op.nn.layer_norm(x, weights(10, 12), weights(10, 12), [-2, -1]),
    "conv2d_transpose": lambda x: op.nn.conv2d_transpose(x, weights(8, 8, 3, 3), padding=1),
    "squeeze": lambda x: op.reshape(
        op.squeeze(op.permute_dims(op.expand_dims(x, 0), [2, 0, 1, 3, 4]), [-4]), SHAPE
    ),
    "batch_norm": lambda x: emit(
        op.nn.batch_norm(
            x, weights(8), weights(8), weights(8), constant(np.ones(8), "float32"), 1, training=True
        )
    )[0],
    "matmul": lambda x: op.matmul(x, weights(12, 5)),
    "pad": lambda x: op.nn.pad(x, (0, 0, 0, 0, 1, 1, 2, 2)),
}


def module(between: Callable[[Expr], Expr]) -> tvm.IRModule:
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            inner = builder.emit(conv(x))
            output = builder.emit_output(conv(builder.emit(between(inner))))
        builder.emit_func_output(output)
    return builder.get()


def run(mod: tvm.IRModule, x: np.ndarray) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.compile(mod, TARGET), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x)).numpy()


def test_every_movable_operator_is_compared() -> None:
    mods = [module(between) for between in BETWEEN.values()]
    blocks = [block for mod in mods for block in mod["main"].body.blocks]
    assert {operator(binding.value) for block in blocks for binding in block.bindings} >= MOVABLE


@pytest.mark.parametrize("name", BETWEEN)
def test_both_layouts_compute_the_same(name: str) -> None:
    mod = module(BETWEEN[name])
    x = RNG.standard_normal(SHAPE).astype("float32")
    channels_last = lower(mod, TARGET, LLVM, "NHWC")
    assert "conv2d_nhwc" in str(channels_last)
    expected = run(lower(mod, TARGET, LLVM, "NCHW"), x)
    np.testing.assert_allclose(run(channels_last, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["add", "multiply", "clip", "leakyrelu", "prelu", "depthwise"])
def test_activations_are_fused_without_transposes(name: str) -> None:
    layers = [var.name_hint for var in lower(module(BETWEEN[name]), TARGET, LLVM).get_global_vars()]
    assert sum("transpose" in layer for layer in layers) == 2
    assert len(layers) <= 5


def test_clip_leaves_nan() -> None:
    lowered = lower(module(BETWEEN["clip"]), TARGET, LLVM, "NHWC")
    assert np.isnan(run(lowered, np.full(SHAPE, np.nan, "float32"))).all()


def test_stays_as_it_is_where_shapes_are_computed(caplog: pytest.LogCaptureFixture) -> None:
    def window(x: Expr) -> Expr:
        begin, end, strides = (
            constant(np.array(values), "int64")
            for values in ([0, 0, 0, 0], [1, 8, 5, 6], [1, 1, 1, 1])
        )
        return op.dynamic_strided_slice(x, begin, end, strides)

    channels_last = lower(module(window), TARGET, LLVM, "NHWC")
    assert "conv2d_nchw" in str(channels_last)
    assert "stay NCHW" in caplog.text


def test_refuses_other_layouts() -> None:
    with pytest.raises(ValueError, match="NCHW16c"):
        lower(module(op.nn.relu), TARGET, LLVM, "NCHW16c")


def test_a_parametric_relu_leaves_nan() -> None:
    def layer(x: Expr) -> Expr:
        return relax.op.nn.prelu(x, relax.const(np.full(SHAPE[1], 0.1, "float32")), 1)

    lowered = lower(module(layer), TARGET, LLVM, "NHWC")
    assert np.isnan(run(lowered, np.full(SHAPE, np.nan, "float32"))).all()
