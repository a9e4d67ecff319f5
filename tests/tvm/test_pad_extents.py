"""Rounding: a little more is computed where it helps, and what is computed stays the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower, lower_plainly
from chameleon_ray.compiler.passes.pad_extents import rounded
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.options import Scheduling
from tests.tvm import layers

op = relax.op
RNG = np.random.default_rng(0)


def weights(*shape: int) -> Expr:
    return constant(RNG.standard_normal(shape) / 4, "float32")


def shifted(x: Expr, y: Expr) -> Expr:
    return op.nn.relu(relax.BlockBuilder.current().emit(x + y))


Build = Callable[[Expr], Expr]
CASES: dict[str, tuple[tuple[int, ...], Build, bool]] = {
    "packed": ((197, 24), lambda x: shifted(op.matmul(x, weights(24, 48)), weights(48)), True),
    "packed batch": ((2, 17, 24), lambda x: op.matmul(x, weights(24, 48)), True),
    "not packed": ((17, 24), lambda x: op.matmul(x, weights(24, 5)), True),
    "products": ((3, 19, 19), lambda x: op.matmul(x, x), True),
    "broadcast products": ((3, 19, 19), lambda x: op.matmul(x, weights(1, 19, 19)), False),
    "vectors": ((17,), lambda x: op.matmul(x, weights(17, 16)), False),
    "useful rows": ((16, 24), lambda x: op.matmul(x, weights(24, 48)), False),
    "few rows": ((2, 24), lambda x: op.matmul(x, weights(24, 48)), False),
    "1x1": ((1, 8, 4, 17), lambda x: op.nn.conv2d(x, weights(16, 8, 1, 1)), True),
    "lopsided": (
        (2, 8, 9, 43),
        lambda x: op.nn.conv2d(x, weights(16, 8, 3, 5), (2, 2), (1, 0, 1, 3), (1, 2)),
        True,
    ),
    "useful columns": ((1, 8, 17, 14), lambda x: op.nn.conv2d(x, weights(16, 8, 1, 1)), False),
}
"""A shape, what is done to it, and whether something is rounded."""


def module(name: str) -> tvm.IRModule:
    shape, build, _ = CASES[name]
    return layers.graph(shape, build)


def output(lowered: tvm.IRModule, array: np.ndarray) -> np.ndarray:
    library = tvm.compile(lowered, layers.tvm_target())
    machine = relax.VirtualMachine(library, tvm.cpu())
    return machine["main"](tvm.runtime.tensor(array)).numpy()


def is_rounded(lowered: tvm.IRModule) -> bool:
    return any('T.sblock("cut")' in function.script() for function in lowered.functions.values())


def test_an_extent_without_useful_divisors_becomes_the_next_one_with_some() -> None:
    wanted = {1: 1, 2: 2, 13: 13, 14: 14, 16: 16, 17: 18, 37: 39, 49: 49, 73: 75, 149: 150}
    wanted |= {196: 196, 197: 198, 257: 258, 577: 579}
    assert {extent: rounded(extent) for extent in wanted} == wanted


@pytest.mark.parametrize("name", CASES)
def test_what_is_computed_stays_the_same(name: str) -> None:
    shape, _, expected = CASES[name]
    target, plain = layers.tvm_target(), module(name)
    lowered, array = lower(plain, target, LLVM), random_array(RNG, shape, "float32")
    assert is_rounded(lowered) == expected
    wanted = output(lower_plainly(plain, target, LLVM), array)
    assert np.allclose(output(lowered, array), wanted, rtol=1e-5, atol=1e-5)


N = tvm.tirx.Var("n", "int64")
DYNAMIC: dict[str, tuple[tuple[Any, ...], tuple[int, ...], Build]] = {
    "rows": ((N, 24), (17, 24), lambda x: op.matmul(x, weights(24, 48))),
    "rows and one": ((N, 24), (16, 24), lambda x: op.matmul(longer(x, x), weights(24, 48))),
    "images": (
        (N, 8, 4, 17),
        (2, 8, 4, 17),
        lambda x: op.nn.conv2d(longer(x, x), weights(16, 8, 1, 1)),
    ),
    "sides": ((1, 8, N, N), (1, 8, 17, 17), lambda x: op.nn.conv2d(x, weights(16, 8, 1, 1))),
}
"""Shapes with unknown sizes, sizes, and what is done."""


def longer(x: Expr, y: Expr) -> Expr:
    return relax.BlockBuilder.current().emit(op.concat([x, y], 0))


@pytest.mark.parametrize("name", DYNAMIC)
def test_unknown_sizes_are_not_rounded(name: str) -> None:
    unknown, known, build = DYNAMIC[name]
    target, plain = layers.tvm_target(), layers.graph(unknown, build)
    lowered, array = lower(plain, target, LLVM), random_array(RNG, known, "float32")
    wanted = output(lower_plainly(plain, target, LLVM), array)
    assert np.allclose(output(lowered, array), wanted, rtol=1e-5, atol=1e-5)


def test_what_follows_is_fused_into_the_same_loops() -> None:
    target = layers.target()
    (task,) = extract(lower(module("packed"), layers.tvm_target(), LLVM), target, LLVM)
    assert task.name == "fused_matmul_add_relu"
    blocks = {choice[-1] for choice in task.space.knobs[-1].choices}
    assert blocks == {1, 2, 3, 6, 9, 11, 18, 22}


def test_where_memory_is_to_be_saved_nothing_is_rounded() -> None:
    for name in ("packed", "1x1"):
        lowered = lower(module(name), layers.tvm_target(), LLVM, rewriting=Scheduling())
        assert not is_rounded(lowered)
