"""Weights out of the cache: copies that are read in turns, and which arguments are weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from chameleon_ray.compiler.codegen.builder import Compiler, Job
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower, lowerings
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.runtime.cold_weights import ColdWeights, Executions
from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.lowerings import extract_all
from chameleon_ray.options import Measuring
from chameleon_ray.task import Weights
from tests.tvm import layers
from tests.tvm.test_lowerings import model as convolutions

OPTIONS = Measuring(cold_least=1 << 10, cold_most=1 << 16)


def buffers(*shapes: tuple[int, ...], dtype: str = "float32") -> list[Any]:
    return [tvm.runtime.tensor(np.ones(shape, dtype)) for shape in shapes]


def addresses(argument: list[Any]) -> list[int]:
    return [one.data_ptr() for one in argument]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_copies_are_apart_by_the_reuse_distance(dtype: str) -> None:
    given = buffers((8, 8), (64, 63), (7,), (8, 8), dtype=dtype)
    size = given[1].numpy().nbytes
    lists = ColdWeights(OPTIONS).arguments(given, Weights((1, 2), 5 * size))
    assert len(lists) == 5
    for one in lists:  # the data, the small bias and the output stay
        assert [one[n].same_as(given[n]) for n in (0, 2, 3)] == [True] * 3
    places = sorted(addresses(one)[1] for one in lists[1:])
    assert all(place % 64 == 0 for place in places)
    assert min(np.diff(places)) >= size
    for one in lists[1:]:
        copy = one[1].numpy()
        assert copy.shape == (64, 63)
        assert copy.dtype == dtype
        assert np.isfinite(copy.astype("float32")).all()
        assert len(set(copy.flatten().tolist())) > 1


def test_no_copies_where_they_make_no_difference() -> None:
    cold = ColdWeights(OPTIONS)
    small, large = buffers((8, 8), (15, 15)), buffers((8, 8), (1 << 15,))
    assert len(cold.arguments(small, Weights((1,), 1 << 16))) == 1
    assert len(cold.arguments(large, Weights((1,), 1 << 30))) == 1
    assert len(cold.arguments(large, Weights())) == 1
    assert len(cold.arguments(buffers((256,), (256,)), Weights((1,), 1 << 30))) == 64


def test_two_layers_share_the_memory() -> None:
    cold = ColdWeights(OPTIONS)
    one = cold.arguments(buffers((256,)), Weights((0,), 1 << 16))
    other = cold.arguments(buffers((512,)), Weights((0,), 1 << 16))
    assert addresses(one[1]) == addresses(other[1])


def test_each_execution_reads_the_next_copy(tmp_path: Path) -> None:
    task = layers.task_of("dense")
    built = Compiler(LLVM).compile(Job(task.program, (0,) * len(task.space.knobs), linked=True))
    given = LayerInputs().shared(task.program, tvm.cpu())
    size = given[1].numpy().nbytes
    cold = ColdWeights(replace(OPTIONS, cold_least=1)).arguments(given, Weights((1,), 3 * size))
    (tmp_path / "layer.so").write_bytes(built.code)
    library = tvm.runtime.load_module(str(tmp_path / "layer.so"))
    executions, outputs = Executions(library, cold), []
    for _ in range(6):
        executions()
        outputs.append(given[-1].numpy())
    assert not np.array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[1], outputs[2])
    np.testing.assert_array_equal(outputs[:3], outputs[3:])
    assert executions.mean(2) > 0
    executions()  # the next is the third
    np.testing.assert_array_equal(given[-1].numpy(), outputs[2])


def test_weights_are_the_constants_among_the_arguments() -> None:
    rng = np.random.default_rng(0)
    x = relax.Var("x", relax.TensorType((4, 32), "float32"))
    y = relax.Var("y", relax.TensorType((32, 16), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x, y]):
        with builder.dataflow():
            weights = constant(rng.standard_normal((32, 32)), "float32")
            hidden = builder.emit(relax.op.matmul(x, weights))
            out = builder.emit_output(builder.emit(relax.op.matmul(hidden, y)))
        builder.emit_func_output(out)
    lowered = lower(builder.get(), layers.tvm_target(), LLVM)
    first, second = extract(lowered, layers.target(), LLVM)
    assert first.weights == Weights((1,), 32 * 32 * 4)
    assert second.weights == Weights((), 32 * 32 * 4)


def test_lowerings_have_the_distance_of_the_largest_model() -> None:
    lowered = list(lowerings(convolutions(), layers.tvm_target(), LLVM))
    tasks = extract_all(lowered[0], lowered[1:], layers.target(), LLVM)
    largest = max(task.weights.distance for task in tasks)
    assert {task.weights.distance for task in tasks} == {largest}
    direct = extract(lowered[0], layers.target(), LLVM)[0].weights.distance
    assert largest > direct  # Winograd's weights are larger
    transformed = [task for task in tasks if task.lowering.startswith("Winograd")]
    assert transformed
    assert all(1 in task.weights.places for task in transformed)
