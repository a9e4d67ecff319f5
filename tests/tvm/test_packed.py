"""The template for columns that fill no vectors: NumPy's answers, and its spaces as counted."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import te

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates.cpu_packed import cpu_packed
from chameleon_ray.compiler.target import vector_bits, vector_registers
from chameleon_ray.space import Config, DesignSpace, as_configs
from tests.tvm.layers import module, tvm_target, unoptimised

SHAPES = {
    "197 words": (1, 197, 24, 197, False),
    "pairs of matrices": (3, 50, 16, 37, False),
    "a row per column": (2, 19, 24, 21, True),
    "few columns": (1, 24, 32, 18, False),
}
"""Matrices, rows, depth, columns, and whether the right factor has a row for each column."""


def product(batch: int, rows: int, depth: int, columns: int, transposed: bool) -> Any:
    """Products of pairs of matrices, halved and less 1."""
    left = te.placeholder((batch, rows, depth), name="left")
    shape = (batch, columns, depth) if transposed else (batch, depth, columns)
    right, k = te.placeholder(shape, name="right"), te.reduce_axis((0, depth), "k")
    total = te.compute(
        (batch, rows, columns),
        lambda b, i, j: te.sum(
            left[b, i, k] * (right[b, j, k] if transposed else right[b, k, j]), k
        ),
        "total",
    )
    return module(left, right, te.compute(total.shape, lambda *at: total[at] / 2 - 1, "last"))


@cache
def designed(name: str) -> tuple[DesignSpace, Program]:
    return design(product(*SHAPES[name]), tvm_target(), LLVM)


def each_choice(space: DesignSpace) -> list[Config]:
    """Configurations in which every choice comes up that a valid one has."""
    members, chosen = space.enumerate(), list[Config]()
    for knob in range(len(space.knobs)):
        _, first = np.unique(members[:, knob], return_index=True)
        chosen += as_configs(members[first])
    return list(dict.fromkeys(chosen))


@pytest.mark.parametrize("name", SHAPES)
def test_every_sketch_computes_what_numpy_does(name: str) -> None:
    space, program = designed(name)
    rng = np.random.default_rng(0)
    left, right, out = (random_array(rng, *argument) for argument in program.arguments)
    _, _, _, _, transposed = SHAPES[name]
    wanted = left @ (np.swapaxes(right, 1, 2) if transposed else right) / 2 - 1
    drawn = as_configs(space.random(rng, 64))
    for sketch in range(len(program.sketches)):
        config = next(config for config in drawn if config[0] == sketch)
        scheduled = program.schedule(config, LLVM.generator).mod
        buffers = [tvm.runtime.tensor(array) for array in (left, right, out)]
        tvm.compile(scheduled, target=unoptimised()).jit()["main"](*buffers)
        np.testing.assert_allclose(buffers[2].numpy(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_every_choice_of_every_knob_is_of_a_schedule(name: str) -> None:
    space, program = designed(name)
    for config in each_choice(space):
        program.schedule(config, LLVM.generator)


@pytest.mark.parametrize("name", SHAPES)
def test_sums_fill_registers_and_fit_into_them(name: str) -> None:
    space, program = designed(name)
    most = vector_registers(tvm_target()) - 4
    for config in as_configs(space.random(np.random.default_rng(1), 200)):
        rows, columns, *_ = (decision for _, decision in program.trace(config)[1])
        assert most // 4 <= rows[-1] * columns[-1] <= most


def test_the_space_has_every_tiling_of_padded_rows_and_columns() -> None:
    space, _ = designed("197 words")
    tilings = {knob.choices[0] for knob in space.knobs if isinstance(knob.choices[0], tuple)}
    vector = vector_bits(tvm_target()) // 32
    assert {int(np.prod(tiling)) for tiling in tilings} == {198, -(-197 // vector)}


def test_every_tiling_of_rows_that_fills_registers_is_reached() -> None:
    space, program = designed("pairs of matrices")
    most = vector_registers(tvm_target()) - 4
    vectors = -(-37 // (vector_bits(tvm_target()) // 32))
    rows = {program.trace(c)[1][0][1][-1] for c in as_configs(space.enumerate())}
    sizes = [v for v in range(1, vectors + 1) if vectors % v == 0 and v <= 8]
    wanted = {n for n in (1, 2, 5, 10, 25) if any(most // 4 <= n * size <= most for size in sizes)}
    assert rows == wanted


def test_shorter_vectors_are_tried_where_they_waste_less() -> None:
    long = vector_bits(tvm_target()) // 32
    saves = -(-18 // (long // 2)) * (long // 2) <= 0.8 * -(-18 // long) * long
    assert len(designed("few columns")[1].sketches) == (4 if saves else 2)
    assert len(designed("197 words")[1].sketches) == 2


def test_a_product_that_fills_few_registers_fills_what_it_can() -> None:
    space, program = design(product(1, 3, 8, 5, False), tvm_target(), LLVM)
    tilings = [[t for _, t in program.trace(c)[1]] for c in as_configs(space.enumerate())]
    assert {rows[-1] * columns[-1] for rows, columns, *_ in tilings} == {3}


def test_the_same_layer_has_the_same_space() -> None:
    first, again = (design(product(*SHAPES["few columns"]), tvm_target(), LLVM)[0] for _ in "ab")
    assert first.digest == again.digest


def test_two_columns_or_two_rows_are_left_to_others() -> None:
    for shape in ((1, 24, 32, 2, False), (1, 2, 32, 21, False)):
        assert cpu_packed(product(*shape), tvm_target()) is None
