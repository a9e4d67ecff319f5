"""Weights out of the cache: copies that are read in turns, and which arguments are weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from chameleon_ray.compiler.codegen.builder import ChildBuilder, Compiler, Job
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower, lowerings
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.runtime.cold_weights import ColdWeights, Executions
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner, patience
from chameleon_ray.compiler.runtime.jobs import ChildRunner, Contest, Race, Raced
from chameleon_ray.compiler.runtime.layer_inputs import LayerInputs
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.lowerings import extract_all
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.isolate import Setting
from chameleon_ray.measure.measurer import Artifact, Finalist
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Constants, Task
from tests.tvm import layers
from tests.tvm.test_lowerings import model as convolutions

OPTIONS = Measuring(cold_least=1 << 10, cold_most=1 << 16)
PATIENT = Measuring(
    cold_least=1, build_timeout=30.0, run_timeout=30.0, load_timeout=30.0, default_timeout=60.0
)
"""For machines that are busy with other things."""


def buffers(*shapes: tuple[int, ...], dtype: str = "float32") -> list[Any]:
    return [tvm.runtime.tensor(np.ones(shape, dtype)) for shape in shapes]


def addresses(argument: list[Any]) -> list[int]:
    return [one.data_ptr() for one in argument]


def lists(given: list[Any], constants: Constants, options: Measuring = OPTIONS) -> list[list[Any]]:
    return ColdWeights(options).arguments(b"layer", given, constants).lists


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_copies_are_apart_by_the_reuse_distance(dtype: str) -> None:
    given = buffers((8, 8), (64, 63), (7,), (8, 8), dtype=dtype)
    size = given[1].numpy().nbytes
    found = lists(given, Constants((1, 2), 5 * size))
    assert len(found) == 5
    for one in found:  # the data, the small bias and the output stay
        assert [one[n].same_as(given[n]) for n in (0, 2, 3)] == [True] * 3
    assert found[0][1].same_as(given[1])
    places = sorted(addresses(one)[1] for one in found[1:])
    assert all(place % 64 == 0 for place in places)
    assert min(np.diff(places)) >= size
    for one in found[1:]:
        copy = one[1].numpy()
        assert copy.shape == (64, 63)
        assert copy.dtype == dtype
        assert np.isfinite(copy.astype("float32")).all()
        assert len(set(copy.flatten().tolist())) > 1


def test_no_copies_where_they_make_no_difference() -> None:
    small, large = buffers((8, 8), (15, 15)), buffers((8, 8), (1 << 15,))
    assert len(lists(small, Constants((1,), 1 << 16))) == 1
    assert len(lists(large, Constants((1,), 1 << 30))) == 1
    assert len(lists(large, Constants())) == 1
    both = buffers((256,), (256,))
    assert len(lists(both, Constants((1,), 1 << 30))) == 64


def test_layers_share_the_memory_and_keep_their_turns() -> None:
    cold, constants = ColdWeights(OPTIONS), Constants((0,), 1 << 16)
    given = buffers((256,))
    one = cold.arguments(b"one", given, constants)
    other = cold.arguments(b"other", buffers((512,)), constants)
    assert addresses(one.lists[1]) == addresses(other.lists[1])
    assert one.next() is one.lists[0]
    again = cold.arguments(b"one", given, constants)
    assert again.next() is one.lists[1]


def cold_layer(copies: int = 3) -> Task:
    task = layers.task_of("dense")
    shape, dtype = Program.loads(task.program).arguments[1]
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return replace(task, constants=Constants((1,), copies * size))


def first(task: Task) -> Config:
    return (0,) * len(task.space.knobs)


def test_copies_share_their_weights_and_nothing_else() -> None:
    task, inputs = cold_layer(), LayerInputs()
    first, second = (inputs.shared(task.program, tvm.cpu(), n, (1,)) for n in range(2))
    cold = ColdWeights(PATIENT)
    lists = [
        cold.arguments(task.program, given, task.constants, copy).lists
        for copy, given in enumerate((first, second))
    ]
    assert len(lists[0]) > 1
    for firsts, seconds in zip(*lists, strict=True):
        for place, pair in enumerate(zip(firsts, seconds, strict=True)):
            one, other = map(np.from_dlpack, pair)
            np.testing.assert_array_equal(one, other)
            assert (one.ctypes.data == other.ctypes.data) is (place == 1)


def test_each_execution_reads_the_next_copy(tmp_path: Path) -> None:
    task = cold_layer()
    built = Compiler(LLVM).compile(Job(task.program, first(task), linked=True))
    given = LayerInputs().shared(task.program, tvm.cpu())
    arguments = ColdWeights(PATIENT).arguments(task.program, given, task.constants)
    (tmp_path / "layer.so").write_bytes(built.code)
    library = tvm.runtime.load_module(str(tmp_path / "layer.so"))
    executions, outputs = Executions(library, arguments), []
    for _ in range(6):
        executions()
        outputs.append(given[-1].numpy())
    assert not np.array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[1], outputs[2])
    np.testing.assert_array_equal(outputs[:3], outputs[3:])
    executions.original()
    np.testing.assert_array_equal(given[-1].numpy(), outputs[0])
    assert executions.mean(2) > 0
    executions()  # the next is the third
    np.testing.assert_array_equal(given[-1].numpy(), outputs[2])


@pytest.mark.parametrize("instances", [1, 2])
def test_the_outputs_that_a_slow_default_leaves_are_those_of_the_layers_own_weights(
    instances: int,
) -> None:
    if instances > len(available()):
        pytest.skip("needs a core for each copy")
    task, options = cold_layer(64), replace(PATIENT, instances=instances)
    builder = ChildBuilder(LLVM, options, available()[:1])
    runner = CpuRunner(LLVM, options, available()[-instances:], "this machine")
    try:
        default, other = builder.build(task, DEFAULT), builder.build(task, first(task))
        assert runner.run(task, other, best=1.0).status == Status.OK
        assert len(runner.run(task, default, best=1e-9).latencies) == 1  # hopeless: they are kept
        found = runner.contest(task, (default, other), Confirming(repeats=2))
        assert isinstance(found, tuple)
        assert [one.right for one in found] == [True, True]
    finally:
        builder.close()
        runner.close()


def told(_: object) -> Callable[[Any], Any]:
    """A child's handler that tells as latency which reuse distance a job has."""

    def do(job: Any) -> Any:
        latencies = (float(job.constants.distance),)
        if isinstance(job, Contest):
            return [Finalist(latencies, 0.0, 0.0, True)]
        return Raced(latencies, 0.0) if isinstance(job, Race) else None

    return do


def test_jobs_have_the_constants_of_their_layer() -> None:
    runner = ChildRunner(Setting(f"{__name__}:told", None), PATIENT, patience)
    task = replace(layers.task_of("dense"), constants=Constants((1,), 7))
    try:
        assert runner.run(task, Artifact(b""), 1.0).latencies == (7.0,)
        found = runner.contest(task, (Artifact(b""),), Confirming())
        assert isinstance(found, tuple)
        assert found[0].latencies == (7.0,)
    finally:
        runner.close()


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
    assert first.constants == Constants((1,), 32 * 32 * 4)
    assert second.constants == Constants((), 32 * 32 * 4)


def test_lowerings_have_the_distance_of_the_largest_model() -> None:
    lowered = list(lowerings(convolutions(), layers.tvm_target(), LLVM))
    tasks = extract_all(lowered[0], lowered[1:], layers.target(), LLVM)
    largest = max(task.constants.distance for task in tasks)
    assert {task.constants.distance for task in tasks} == {largest}
    direct = extract(lowered[0], layers.target(), LLVM)[0].constants.distance
    assert largest > direct  # Winograd's weights are larger
    transformed = [task for task in tasks if task.lowering.startswith("Winograd")]
    assert transformed
    assert all(1 in task.constants.places for task in transformed)
