"""Vectors that kernels copy asynchronously: those of neighbours only, and only aligned ones."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from tvm import te
from tvm.s_tir import Schedule

from chameleon_ray.compiler.codegen.async_copies import ASYNCHRONOUS, with_split_vectors
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.record import Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from tests.cuda.kernels import tvm_target
from tests.cuda.test_tensor_core import one_of_each_sketch
from tests.gpu.conftest import Tools
from tests.gpu.test_kernels import on_cpu
from tests.tvm import products
from tests.tvm.test_cuda_space import drawn, tasks

ARCH = "sm_90"


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> Task:
    """A convolution with a filter per channel, whose sketches are MetaSchedule's.

    A step takes one weight of each channel, and these lie nine apart.
    """
    monkeypatch.setitem(TEMPLATES, "cuda", ())
    (task,) = tasks.__wrapped__("depthwise", ARCH)
    return task


def split(task: Task, count: int) -> list[Config]:
    """The first configurations with vectors that are split."""
    program = Program.loads(task.program)

    def is_split(config: Config) -> bool:
        module = program.schedule(config, CUDA.generator).mod
        return with_split_vectors(module).script() != module.script()

    return list(islice(filter(is_split, drawn(task, 100)), count))


def test_vectors_of_elements_that_lie_apart_are_split(sketched: Task, tools: Tools) -> None:
    builders, runner = tools
    configs = split(sketched, 2)
    assert len(configs) == 2
    for config, artifact in zip(configs, builders.ahead(sketched, configs), strict=True):
        assert artifact.status is Status.OK, artifact.error
        outputs = runner.outputs(sketched, artifact)
        assert isinstance(outputs, list), (config, outputs)
        assert difference(outputs[-1], on_cpu(sketched, outputs)[-1]).right, config


@pytest.mark.parametrize("name", ["3x3", "dense"])
def test_vectors_of_the_template_for_tensor_cores_stay_whole(name: str) -> None:
    space, program = design(products.LAYERS[name](), tvm_target(ARCH), CUDA)
    for config in one_of_each_sketch(space, program)[-1:]:
        module = program.schedule(config, CUDA.generator).mod
        assert "software_pipeline_async_stages" in module.script()
        assert with_split_vectors(module).script() == module.script()


LAYOUTS: dict[str, tuple[Callable[[Schedule, Any], None], bool]] = {
    "as in the source": (lambda schedule, copy: None, True),
    "transposed": (
        lambda schedule, copy: schedule.transform_layout(copy, ("write", 0), lambda i, k: (k, i)),
        False,
    ),
    "every second element apart": (
        lambda schedule, copy: schedule.transform_layout(
            copy, ("write", 0), lambda i, k: (i, k % 2, k // 2)
        ),
        False,
    ),
    "in pairs that follow each other": (
        lambda schedule, copy: schedule.transform_layout(
            copy, ("write", 0), lambda i, k: (i, k // 2, k % 2)
        ),
        True,
    ),
    "rows after gaps of a vector": (
        lambda schedule, copy: schedule.storage_align(copy, 0, -2, 8, 4),
        True,
    ),
    "rows after gaps of an element": (
        lambda schedule, copy: schedule.storage_align(copy, 0, -2, 8, 1),
        False,
    ),
}
"""Layouts of a copy in shared memory, and whether vectors of four are one piece there."""


@pytest.mark.parametrize(("change", "whole"), LAYOUTS.values(), ids=LAYOUTS)
def test_vectors_are_neighbours_and_aligned_where_they_are_written_too(
    change: Callable[[Schedule, Any], None], whole: bool
) -> None:
    a, k = te.placeholder((64, 64), "float32", name="a"), te.reduce_axis((0, 64), "k")
    sums = te.compute((64,), lambda i: te.sum(a[i, k], axis=k), name="sums")
    schedule = Schedule(te.create_prim_func([a, sums]))
    block = schedule.get_sblock("sums")
    rows, columns = schedule.get_loops(block)
    step, columns = schedule.split(columns, [None, 8])
    schedule.reorder(step, rows, columns)
    copy = schedule.cache_read(block, 0, "shared")
    schedule.compute_at(copy, step)
    _, vector = schedule.split(schedule.fuse(*schedule.get_loops(copy)[-2:]), [None, 4])
    schedule.vectorize(vector)
    schedule.annotate(step, ASYNCHRONOUS, [0])
    change(schedule, copy)
    text = with_split_vectors(schedule.mod).script()
    assert (text == schedule.mod.script()) == whole
    assert ("T.vectorized" in text) == whole
