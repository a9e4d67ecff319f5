"""Builders: what they make of good, invalid, endless and greedy configurations."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.tvm import layers

PATIENT = Measuring(build_timeout=30.0, default_timeout=60.0)
"""For machines that are busy with other things."""


@pytest.fixture(scope="module")
def builder() -> Iterator[ChildBuilder]:
    made = ChildBuilder(LLVM, PATIENT, available()[:1])
    yield made
    made.close()


@pytest.fixture(scope="module")
def endless() -> Task:
    """A layer that no machine compiles: it unrolls sixteen million statements."""
    return layers.task(layers.unrolled(1 << 24), "unrolled")


@pytest.mark.parametrize("kind", layers.KINDS)
def test_builds_the_default_and_what_the_search_proposes(builder: ChildBuilder, kind: str) -> None:
    task = layers.task_of(kind)
    configs = as_configs(task.space.random(np.random.default_rng(2), 2))
    for config in (DEFAULT, *configs):
        artifact = builder.build(task, config)
        assert artifact.status in (Status.OK, Status.INVALID), artifact.error
        assert (b"define" in artifact.code) == (artifact.status is Status.OK)
        assert artifact.seconds > 0
    assert builder.build(task, DEFAULT).status is Status.OK


def test_the_same_config_gives_the_same_code(builder: ChildBuilder) -> None:
    task = layers.task_of("dense")
    config = as_configs(task.space.random(np.random.default_rng(3), 1))[0]
    first, default, second = (builder.build(task, c) for c in (config, DEFAULT, config))
    # names in LLVM's alias metadata are addresses
    nameless = [re.sub(rb"0x[0-9a-f]+", b"", a.code) for a in (first, default, second)]
    assert nameless[0] == nameless[2] != nameless[1]


def test_what_a_static_check_turns_down_is_invalid(builder: ChildBuilder) -> None:
    conv, add = layers.task_of("conv"), Program.loads(layers.task_of("add").program)
    sketches = Program.loads(conv.program)
    mixed = Program(add.module_json, add.target_json, sketches.sketches, sketches.knobs)
    artifact = builder.build(replace(conv, program=mixed.dumps()), (0,) * sketches.knobs)
    assert artifact.status is Status.INVALID
    assert "does not apply" in artifact.error
    assert artifact.code == b""


def test_what_cannot_be_read_is_a_build_error(builder: ChildBuilder) -> None:
    task = replace(layers.task_of("dense"), program=b"nothing")
    artifact = builder.build(task, DEFAULT)
    assert artifact.status is Status.BUILD_ERROR
    assert "JSONDecodeError" in artifact.error
    assert builder.build(layers.task_of("dense"), DEFAULT).status is Status.OK


def test_an_endless_build_is_stopped_and_the_next_one_works(
    builder: ChildBuilder, endless: Task
) -> None:
    builder.build(layers.task_of("dense"), DEFAULT)
    builder.options = replace(PATIENT, default_timeout=0.5)
    began = time.perf_counter()
    artifact = builder.build(endless, DEFAULT)
    stopped = time.perf_counter()
    builder.options = PATIENT
    assert artifact.status is Status.BUILD_TIMEOUT
    assert "0.5 s" in artifact.error
    assert stopped - began < 5.0
    assert builder.build(layers.task_of("dense"), DEFAULT).status is Status.OK
    assert time.perf_counter() - stopped < 5.0


def test_a_greedy_build_is_stopped_and_the_next_one_works(endless: Task) -> None:
    frugal = ChildBuilder(LLVM, replace(PATIENT, memory_bytes=1 << 29), available()[:1])
    try:
        artifact = frugal.build(endless, DEFAULT)
        assert artifact.status in (Status.CRASH, Status.BUILD_ERROR)
        assert artifact.error
        assert frugal.build(layers.task_of("dense"), DEFAULT).status is Status.OK
    finally:
        frugal.close()


def test_children_have_neither_torch_nor_foreign_intrinsics() -> None:
    script = (
        "import sys\n"
        "from chameleon_ray.compiler.codegen.builder import Compiler, Job\n"
        "from chameleon_ray.compiler.runtime.cpu_runner import CpuTimer\n"
        "from chameleon_ray.compiler.runtime.jobs import Race\n"
        "from chameleon_ray.compiler.runtime.model_bench import ModelTimer\n"
        "from chameleon_ray.compiler.kinds import LLVM\n"
        "from chameleon_ray.options import Measuring\n"
        "compiler, timer, _ = Compiler(LLVM), CpuTimer(LLVM, Measuring()), ModelTimer(LLVM, 1)\n"
        "from tests.tvm import layers\n"
        "task = layers.task_of('dense')\n"
        "built = compiler.compile(Job(task.program, (0,) * len(task.space.knobs)))\n"
        "race = Race(task.program, built.code, float('inf'), Measuring(), task.constants)\n"
        "latencies = timer(race).latencies\n"
        "loaded = [m for m in sys.modules if m.startswith('tvm.s_tir.tensor_intrin.')]\n"
        "print(built.status, len(latencies), loaded, sys.modules['torch'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ok 3 ['tvm.s_tir.tensor_intrin.x86'] None"
