"""Builders for GPUs: every kind of layer, good and bad, and libraries that need no compiler."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import relax, te, topi
from tvm.script import tirx as T

from chameleon_ray.compiler.codegen.builder import ChildBuilder, artifact_of
from chameleon_ray.compiler.codegen.cuda_compiler import Binary, CompileError
from chameleon_ray.compiler.codegen.cuda_library import (
    CannotLaunch,
    Library,
    compile_kernels,
    compile_layer,
)
from chameleon_ray.compiler.codegen.cuda_resources import kernels
from chameleon_ray.compiler.codegen.default_schedule import default
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.passes import winograd_cuda
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.tvm_process import load_cudart
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.record import DEFAULT, LONGEST_ERROR, Status
from chameleon_ray.space import as_configs
from tests.cuda.kernels import ARCHS, PATIENT, task, tvm_target, usable_compiler
from tests.tvm import layers

TVM_BUG = "tvm_access_ptr element type must match the source buffer"
"""What TVM 0.27 makes of some of its own sketches for products of int8."""
FIGURES = {"kernels", "threads", "registers", "spilled", "stack", "shared", "occupancy"}


@pytest.fixture(scope="module")
def builder() -> Iterator[ChildBuilder]:
    usable_compiler("sm_90")
    made = ChildBuilder(CUDA, PATIENT, available()[:1])
    yield made
    made.close()


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("kind", layers.KINDS)
def test_builds_the_default_and_sketches_for(builder: ChildBuilder, kind: str, arch: str) -> None:
    one = task(kind, arch)
    configs = as_configs(one.space.random(np.random.default_rng(2), 2 if arch == "sm_90" else 1))
    for config in (DEFAULT, *configs):
        artifact = builder.build(one, config)
        if artifact.status is not Status.OK and config != DEFAULT:
            broken = artifact.status is Status.BUILD_ERROR and TVM_BUG in artifact.error
            assert broken or artifact.status is Status.INVALID, artifact.error
            continue
        assert artifact.status is Status.OK, artifact.error
        assert set(json.loads(artifact.resources)) == FIGURES
        library = Library.loads(artifact.code)
        assert library.binary.startswith(b"\x7fELF")
        names = {kernel.name for kernel in kernels(library.binary)}
        assert names == set(tvm.ir.load_json(library.functions))


def test_a_kernel_that_asks_for_too_much_is_invalid(builder: ChildBuilder) -> None:
    one = task("dense")
    lavish = Program.loads(one.program)
    fields = json.loads(lavish.target_json) | {"max_threads_per_block": 4096}
    body = json.loads(one.program) | {"target": json.dumps(fields)}
    copied = replace(one, program=json.dumps(body).encode())
    unlimited = replace(one.space, limits=(), members=None)
    statuses = {
        builder.build(copied, config).status
        for config in as_configs(unlimited.random(np.random.default_rng(5), 6))
    }
    assert Status.INVALID in statuses <= {Status.OK, Status.INVALID}


def test_a_layer_without_threads_cannot_be_launched() -> None:
    usable_compiler("sm_90")
    with pytest.raises(CannotLaunch, match="bound to a GPU's threads"):
        compile_kernels(layers.dense(), tvm_target("sm_90"))


def lavish() -> tvm.IRModule:
    """A layer scheduled to keep rows of 128 KiB in static shared memory, of which 48 KiB fit."""
    x = te.placeholder((4, 32768), name="x")
    schedule = tvm.s_tir.Schedule(layers.module(x, topi.add(x, te.const(1.0, "float32"))))
    block = schedule.get_sblock("T_add")
    row, column = schedule.get_loops(block)
    copied = schedule.cache_read(block, 0, "shared")
    schedule.compute_at(copied, row)
    schedule.bind(row, "blockIdx.x")
    for loop in (column, schedule.get_loops(copied)[-1]):
        schedule.bind(schedule.split(loop, [None, 256])[1], "threadIdx.x")
    return schedule.mod


def test_what_the_compiler_turns_down_for_its_resources_is_invalid() -> None:
    """Its error crosses TVM, which makes a RuntimeError of it."""
    usable_compiler("sm_90")
    artifact = compile_layer(lavish(), tvm_target("sm_90"))
    assert artifact.status is Status.INVALID
    assert "uses too much shared data" in artifact.error
    assert len(artifact.error) <= LONGEST_ERROR


class Wordy:
    """Stands in for a compiler that turns everything down, at length."""

    name = "wordy"

    def compile(self, source: str) -> Binary:
        raise CompileError(f"kernel.cu(3): error: no {source}" + "\nno" * 50_000)


def test_a_compilers_error_keeps_its_type_and_is_cut_short_in_a_record() -> None:
    module, target = default(layers.softmax(), tvm_target("sm_90")), tvm_target("sm_90")
    with pytest.raises(CompileError, match=r"kernel\.cu\(3\): error"):
        compile_kernels(module, target, Wordy())
    if usable_compiler("sm_90"):
        compile_kernels(module, target)  # an error is forgotten with its layer
    long = Outcome(Ending.ERROR, error="InternalError: " + "x" * 73_000)
    assert len(artifact_of(long, (1,)).error) == LONGEST_ERROR


@T.prim_func(private=True, s_tir=True)
def greedy(x: T.Buffer((1024,), "float32"), y: T.Buffer((1024,), "float32")) -> None:
    """Copies by way of more shared memory than a block may declare."""
    kept = T.sblock_alloc_buffer((32768,), "float32", scope="shared")
    for i in T.thread_binding(1024, thread="threadIdx.x"):
        with T.sblock("in"):
            place = T.axis.spatial(1024, i)
            kept[place * 32] = x[place]
        with T.sblock("out"):
            place = T.axis.spatial(1024, i)
            y[place] = kept[(1023 - place) * 32]


def greedy_model() -> tvm.IRModule:
    """A model with a kernel that no GPU takes."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1024,), "float32"))
    variable = builder.add_func(greedy.with_attr("tirx.is_scheduled", True), "greedy")
    with builder.function("main", [x]):
        y = builder.emit(relax.call_tir(variable, [x], relax.TensorType((1024,), "float32")))
        builder.emit_func_output(y)

    return builder.get()


TURNED_DOWN = """
import sys
from pathlib import Path
from chameleon_ray.compiler.tvm_process import block_torch
block_torch()
from chameleon_ray.compiler.apply import compile_model
from chameleon_ray.compiler.codegen.cuda_library import CompileError
from chameleon_ray.compiler.codegen.cuda_runtime import demand_runtime
from chameleon_ray.compiler.kinds import CUDA
from tests.cuda.kernels import target
from tests.cuda.test_builder import greedy_model
demand_runtime()
try:
    compile_model(greedy_model(), target("sm_90"), CUDA, Path(sys.argv[1]))
except CompileError as refusal:
    print(refusal)
"""


def test_a_model_that_the_compiler_turns_down_has_its_reason(tmp_path: Path) -> None:
    """In a process of its own, which loads TVM's CUDA runtime as on a machine without a GPU."""
    usable_compiler("sm_90")
    command = [sys.executable, "-c", TURNED_DOWN, str(tmp_path / "model.so")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "uses too much shared data" in line


DRIVER = """
#include <string.h>
static int none(void) { return 100; }
int cuDeviceGetName() { return none(); }      int cuFuncSetAttribute() { return none(); }
int cuGetErrorName() { return none(); }       int cuGetErrorString() { return none(); }
int cuLaunchKernelEx() { return none(); }     int cuModuleGetFunction() { return none(); }
int cuModuleLoadData() { return none(); }     int cuModuleUnload() { return none(); }
int cuTensorMapEncodeTiled() { return none(); }
"""
"""A driver without a GPU, with what TVM's CUDA runtime is linked to."""
LOADING = """
import sys
from chameleon_ray.compiler.tvm_process import block_torch, load_cudart
block_torch()
assert not load_cudart()
import tvm, tvm_ffi
from chameleon_ray.compiler.codegen.cuda_library import CREATE, Library, forbid_compiling, load
assert tvm_ffi.get_global_func(CREATE, allow_missing=True), "no CUDA runtime"
forbid_compiling()
library = Library.loads(open(sys.argv[1], "rb").read())
host = load(library)
device = host.imports[0]
print(device.kind, device.is_runnable(), device.inspect_source("cuda") == "")
for name in tvm.ir.load_json(library.functions):
    assert device.implements_function(name)
source = tvm_ffi.get_global_func(CREATE)
try:
    source(b"extern int x;", "cuda", {}, {})
except RuntimeError as error:
    print(error)
"""


def test_tvms_own_runtime_takes_the_binary(builder: ChildBuilder, tmp_path: Path) -> None:
    """With a driver that has no GPU, so far as loading goes."""
    compiler = shutil.which("cc")
    if compiler is None or load_cudart():
        pytest.skip("there is no C compiler to make a driver with, or no CUDA runtime")
    (tmp_path / "driver.c").write_text(DRIVER)
    driver = tmp_path / "libcuda.so.1"
    made = [compiler, "-w", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(driver)]
    subprocess.run([*made, str(tmp_path / "driver.c")], check=True)
    code = tmp_path / "code"
    code.write_bytes(builder.build(task("dense"), DEFAULT).code)
    assert b"__global__" not in code.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "cuda True True"
    assert "only loads what builders have compiled" in done.stdout


def test_dlight_has_a_default_for_what_its_matrix_rule_fails_on() -> None:
    usable_compiler("sm_90")
    x = te.placeholder((1, 64, 14, 14), "float32", "data")
    w = te.placeholder((4, 4, 64, 64), "float32", "weights")
    y = topi.nn.relu(winograd_cuda.loops(x, w, 2, [1, 1, 1, 1]))
    target = tvm_target("sm_90")
    _, taken = compile_kernels(default(layers.module(x, w, y), target), target)
    assert taken.occupancy > 0


def test_the_default_leaves_the_program_as_it_is(builder: ChildBuilder) -> None:
    one = task("softmax")
    config = as_configs(one.space.random(np.random.default_rng(1), 1))[0]
    first = builder.build(one, config)
    assert builder.build(one, DEFAULT).status is Status.OK
    assert builder.build(one, config).status is first.status is Status.OK


def test_a_builder_without_a_compiler_says_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['cuda.bindings'] = None\n"
        "from chameleon_ray.compiler.codegen.builder import compiler\n"
        "from chameleon_ray.compiler.kinds import CUDA\n"
        "compiler(CUDA)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={"PATH": "/nowhere"}
    )
    assert done.returncode != 0
    assert "pip install 'chameleon_ray[cuda]'" in done.stderr.splitlines()[-1]
