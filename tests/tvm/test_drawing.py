"""Example inputs that suit a model, by what its operators ask of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.drawing import Use, draw, drawn, uses_of
from chameleon_ray.compiler.frontend.inputs import InputSpec

FLOAT, INT = "float32", "int64"


def module_of(build: Any, *params: tuple[tuple[int, ...], str]) -> IRModule:
    """A module whose ``main`` computes ``build(parameters)``."""
    builder = relax.BlockBuilder()
    variables = [
        relax.Var(f"p{place}", relax.TensorType(shape, dtype))
        for place, (shape, dtype) in enumerate(params)
    ]
    with builder.function("main", variables):
        with builder.dataflow():
            out = builder.emit_output(build(builder, *variables))
        builder.emit_func_output(out)
    return builder.get()


def table(rows: int) -> Any:
    return relax.const(np.zeros((rows, 4), "float32"))


def use(build: Any, *params: tuple[tuple[int, ...], str]) -> list[Use]:
    return uses_of(module_of(build, *params))


def test_an_index_stays_below_its_smallest_table() -> None:
    def build(builder: relax.BlockBuilder, ids: relax.Var) -> relax.Expr:
        short = relax.op.astype(relax.op.reshape(ids, (6,)), "int32")
        pair = [relax.op.take(table(rows), builder.emit(short), 0) for rows in (50, 30)]
        return relax.op.add(*(builder.emit(value) for value in pair))

    (only,) = use(build, ((2, 3), INT))
    assert only.below == 30
    drawn = draw(InputSpec("ids", (1000,), INT), only, np.random.default_rng(0))
    assert (drawn.min(), drawn.max(), drawn.dtype) == (0, 29, np.dtype("int64"))


def test_an_index_counted_from_the_end_is_one_still() -> None:
    def build(builder: relax.BlockBuilder, ids: relax.Var) -> relax.Expr:
        negative = builder.emit(relax.op.less(ids, relax.const(0, INT)))
        turned = builder.emit(relax.op.add(ids, relax.const(30, INT)))
        normal = builder.emit(relax.op.where(negative, turned, ids))
        return relax.op.take(table(30), normal, 0)

    assert use(build, ((2,), INT))[0].below == 30


@pytest.mark.parametrize("dtype", [FLOAT, INT, "uint8"])
def test_a_divisor_is_never_zero(dtype: str) -> None:
    divide = relax.op.divide if dtype == FLOAT else relax.op.floor_divide
    first, second = use(lambda _, x, y: divide(x, y), ((4,), dtype), ((4,), dtype))
    assert second.divides
    assert not first.divides
    drawn = draw(InputSpec("y", (1000,), dtype), second, np.random.default_rng(0))
    assert np.all(drawn != 0)
    assert len(np.unique(drawn)) > 5


def test_a_logarithm_gets_positive_numbers_and_an_arcus_small_ones() -> None:
    def build(builder: relax.BlockBuilder, x: relax.Var, y: relax.Var) -> relax.Expr:
        moved = builder.emit(relax.op.permute_dims(x))
        return relax.op.add(builder.emit(relax.op.log(moved)), builder.emit(relax.op.asin(y)))

    rng = np.random.default_rng(0)
    log, arcus = use(build, ((4,), FLOAT), ((4,), FLOAT))
    x = draw(InputSpec("x", (1000,), FLOAT), log, rng)
    y = draw(InputSpec("y", (1000,), FLOAT), arcus, rng)
    assert np.isfinite(np.log(x)).all()
    assert np.isfinite(np.arcsin(y)).all()
    assert np.ptp(y) > 1.5


def test_masks_have_no_row_without_a_one() -> None:
    mask = draw(InputSpec("attention_mask", (50, 8), INT), Use(), np.random.default_rng(0))
    assert set(np.unique(mask)) == {0, 1}
    assert np.all(mask.sum(-1) >= 4)
    assert np.all(np.diff(mask, axis=-1) <= 0)


def test_integers_of_unknown_use_are_zeros_and_ones_and_counted_ones_are_not() -> None:
    rng, spec = np.random.default_rng(0), InputSpec("n", (100,), INT)
    (sorted_,) = use(lambda _, x: relax.op.sort(x), ((100,), INT))
    (added,) = use(lambda _, x: relax.op.multiply(x, x), ((100,), INT))
    assert set(draw(spec, sorted_, rng)) == {0, 1}
    assert draw(spec, added, rng).min() < -50


def test_given_values_are_kept_and_others_are_the_same_for_the_same_seed() -> None:
    given = np.arange(4, dtype="float32")
    x, y = InputSpec("x", (4,), FLOAT), InputSpec("y", (4,), FLOAT)
    free = drawn((x, y), [Use(), Use()], np.random.default_rng(3))
    half = drawn((x, replace(y, values=given)), [Use(), Use()], np.random.default_rng(3))
    assert half[1][1] is given
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(free, half, strict=True))
    assert not np.array_equal(free[0][0], free[1][0])
    assert len(drawn((replace(y, values=given),), [Use()], np.random.default_rng(3))) == 1
