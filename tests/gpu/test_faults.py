"""Kernels that go wrong on a simulated GPU, each followed by a right one: only a child is lost."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tvm import te, topi

from chameleon_ray.compiler.codegen.cuda_compiler import Binary, CudaCompiler, compiler_for
from chameleon_ray.compiler.codegen.cuda_library import compile_kernels
from chameleon_ray.compiler.codegen.default_schedule import default
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.tvm_process import block_torch, register_intrinsics
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Confirming
from chameleon_ray.record import LONGEST_ERROR, Status
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT, target, tvm_target
from tests.gpu.conftest import simulated
from tests.tvm import layers

BODY = re.compile(r'(extern "C" __global__ void [^{]*)\{.*', re.DOTALL)
RIGHT = ""
FAULTS = {
    "hangs": "volatile float* word = x_ptr; while (*word != 12345.0f) { }",
    "writes out of bounds": "x_ptr[(1ull << 40) + threadIdx.x] = 1.0f;",
    "traps": 'asm volatile("trap;");',
}
"""What is put in place of a right kernel's statements."""
INFINITE = float("inf")


@dataclass(frozen=True)
class Breaking:
    """Compiles a kernel with other statements than its own."""

    compiler: CudaCompiler
    body: str
    name: str = "breaking"

    def compile(self, source: str) -> Binary:
        broken = BODY.sub(lambda head: f"{head[1]}{{ {self.body} }}", source)
        return self.compiler.compile(broken if self.body else source)


def layer() -> object:
    x, y = (te.placeholder((64, 32), name=name) for name in ("x", "y"))
    return layers.module(x, y, topi.add(x, y))


def built(body: str) -> Artifact:
    module, compiler = default(layer(), tvm_target("sm_90")), compiler_for("sm_90")
    library, _ = compile_kernels(module, tvm_target("sm_90"), Breaking(compiler, body))
    return Artifact(library.dumps())


def builds(_: object) -> Callable[[str], Artifact]:
    block_torch()
    register_intrinsics("cuda")
    return built


@pytest.fixture(scope="module")
def artifacts() -> dict[str, Artifact]:
    """A right kernel, and the same with each fault."""
    child = Isolate(Setting(f"{__name__}:builds", environment=tuple(simulated().items())))
    found = {}
    for name, body in {"right": RIGHT, **FAULTS}.items():
        outcome = child.call(body, 120)
        assert outcome.ending is Ending.OK, outcome.error
        found[name] = outcome.value
    child.close()
    return found


@pytest.fixture(scope="module")
def task() -> Task:
    space, program = design(layer(), tvm_target("sm_90"), CUDA)
    return Task("add", "add", target("sm_90"), 1, 1.0, space, program.dumps())


@pytest.fixture
def runner(gpu: dict[str, str]) -> Iterator[CudaRunner]:
    made = CudaRunner(replace(PATIENT, shots=3, wake_seconds=0.0, context_timeout=30.0))
    made.warm()
    made.child.options = replace(made.child.options, run_timeout=3.0, default_timeout=20.0)
    yield made
    made.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_kernel_that_goes_wrong_is_followed_by_a_right_one(
    fault: str, artifacts: dict[str, Artifact], task: Task, runner: CudaRunner
) -> None:
    zygote = runner.child._child._zygote.pid
    timing = runner.run(task, artifacts[fault], INFINITE)
    assert timing.status is (Status.RUN_TIMEOUT if fault == "hangs" else Status.RUN_ERROR)
    assert len(timing.error) <= LONGEST_ERROR
    after = runner.run(task, artifacts["right"], INFINITE)
    assert after.status is Status.OK, after.error
    assert after.device == "NVIDIA H100 80GB HBM3"
    assert runner.child._child._zygote.pid == zygote


def test_a_contest_with_a_kernel_that_goes_wrong_is_a_failure(
    artifacts: dict[str, Artifact], task: Task, runner: CudaRunner
) -> None:
    good = artifacts["right"]
    lost = runner.contest(task, (good, artifacts["traps"]), Confirming(repeats=1))
    assert not isinstance(lost, tuple)
    assert lost.status is Status.RUN_ERROR
    assert isinstance(runner.contest(task, (good, good), Confirming(repeats=1)), tuple)


def test_neither_the_runner_nor_its_zygote_touches_the_gpu(
    artifacts: dict[str, Artifact], task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    for name, value in simulated(trace=trace).items():
        monkeypatch.setenv(name, value)
    runner = CudaRunner(replace(PATIENT, shots=3, wake_seconds=0.0))
    runner.warm()
    first = runner.child._child._pid
    runner.run(task, artifacts["traps"], INFINITE)
    assert runner.run(task, artifacts["right"], INFINITE).status is Status.OK
    second, zygote = runner.child._child._pid, runner.child._child._zygote.pid
    runner.close()
    pids = {int(line.split()[0]) for line in trace.read_text().splitlines()}
    assert pids == {first, second}
    assert not pids & {os.getpid(), zygote}
    assert "libcuda.so" not in Path("/proc/self/maps").read_text()
