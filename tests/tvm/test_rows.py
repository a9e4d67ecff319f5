"""The template of norms and softmax computes what the loops do, and fits nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax, te, topi

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates.cpu_rows import cpu_rows
from chameleon_ray.space import as_configs
from tests.tvm import layers

RNG = np.random.default_rng(0)
TARGET = layers.tvm_target()


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def norm(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * 2 + 1


def normed(x: relax.Expr) -> relax.Expr:
    full = [relax.const(np.full(int(x.ty.shape[-1]), n, "float32")) for n in (2, 1)]
    return relax.op.nn.layer_norm(x, *full, axes=[-1], epsilon=1e-5)


def rectified(x: relax.Expr) -> relax.Expr:
    return relax.op.nn.relu(relax.BlockBuilder.current().emit(normed(x)))


CASES: dict[str, tuple[tuple[int, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "softmax": ((2, 3, 48), relax.op.nn.softmax, softmax),
    "logarithm": ((6, 32), relax.op.nn.log_softmax, lambda x: np.log(softmax(x))),
    "norm": ((1, 12, 64), normed, norm),
    "norm and relu": ((5, 16), rectified, lambda x: np.maximum(norm(x), 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_are_what_numpy_computes(name: str) -> None:
    shape, build, reference = CASES[name]
    (task,) = extract(lower(layers.graph(shape, build), TARGET, LLVM), layers.target(), LLVM)
    data = RNG.standard_normal(shape).astype("float32") * 3
    space, program = task.space, Program.loads(task.program)
    assert cpu_rows(program.module, TARGET) is not None
    for config in as_configs(space.random(np.random.default_rng(1), 3)):
        assert program.config(program.trace(config)) == config
        found = outputs(program.schedule(config, LLVM.generator).mod, program, data)
        assert found == pytest.approx(reference(data), rel=1e-4, abs=1e-5)


def outputs(module: Any, program: Any, data: np.ndarray) -> np.ndarray:
    """Runs a layer; its parameters are 2 and 1, in this order."""
    shapes = [shape for shape, _ in program.arguments[1:]]
    rest = [np.full(shape, n, "float32") for shape, n in zip(shapes, (2, 1, 0), strict=False)]
    buffers = [tvm.runtime.tensor(array) for array in (data, *rest)]
    tvm.compile(module, target=layers.unoptimised()).jit()["main"](*buffers)
    return buffers[-1].numpy()


def first_axis() -> Any:
    x = te.placeholder((8, 64), "float32", "x")
    return layers.module(x, topi.nn.softmax(x, 0))


def odd_rows() -> Any:
    x = te.placeholder((8, 63), "float32", "x")
    return layers.module(x, topi.nn.softmax(x, -1))


def doubles() -> Any:
    x = te.placeholder((8, 64), "float64", "x")
    return layers.module(x, topi.nn.softmax(x, -1))


def only_summed() -> Any:
    x = te.placeholder((8, 64), "float32", "x")
    return layers.module(x, topi.sum(x, -1))


@pytest.mark.parametrize("make", [first_axis, odd_rows, doubles, only_summed, layers.dense])
def test_other_layers_are_not_fitted(make: Callable[[], Any]) -> None:
    assert cpu_rows(make(), TARGET) is None
    space, _ = design(make(), TARGET, LLVM)
    assert space.size > 1
