"""Kernels of the vendor's stand-ins on simulated GPUs: the race, the contest, whole models."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Confirming, Request
from chameleon_ray.pool import InProcessPool
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.vendor import vendor_config
from chameleon_ray.winners import choose
from tests.cuda.kernels import PATIENT, task
from tests.gpu.conftest import Builders, Tools, simulated
from tests.gpu.vendor.build import standins
from tests.whole.onnx_net import dense_layers

CORES = available()[-1:]
INFINITE = float("inf")
CUBLASLT = vendor_config("cuBLASLt", 0)
CONVOLUTION = vendor_config("cuDNN", 0)


@dataclass(frozen=True)
class Process:
    """A job that tells which process does it."""

    def run(self, timer: object) -> int:
        return os.getpid()


def set_up(patch: pytest.MonkeyPatch, folder: Path, more: Mapping[str, str]) -> None:
    own = {"CHAMELEON_VENDOR_PATH": str(standins()), "XDG_CACHE_HOME": str(folder)}
    for name, value in {**simulated(), **own, **more}.items():
        patch.setenv(name, value)


def started(stack: ExitStack, folder: Path, **more: str) -> CudaRunner:
    """A runner with a simulated H100 and the stand-ins, as has whatever the stack starts later."""
    set_up(stack.enter_context(pytest.MonkeyPatch.context()), folder, more)
    runner = CudaRunner(PATIENT)
    stack.callback(runner.close)
    return runner


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tools(builders: Builders, kept: Path) -> Iterator[Tools]:
    with ExitStack() as stack:
        yield builders, started(stack, kept)


def pool(worker: object) -> InProcessPool:
    return InProcessPool("", lambda: worker, {}, 0.0)


def record(one: Task, config: Config, latency: float) -> Record:
    return Record(one.digest, one.target, "GPU", config, "{}", Status.OK, (latency,))


@pytest.mark.parametrize(("kind", "config"), [("dense", CUBLASLT), ("conv", CONVOLUTION)])
def test_a_call_is_timed_and_compared_like_any_candidate(
    tools: Tools, kind: str, config: Config
) -> None:
    builder, runner = tools
    one = task(kind)
    default, call = builder.build(one, DEFAULT), builder.build(one, config)
    timing = runner.run(one, call, INFINITE)
    assert timing.status is Status.OK, timing.error
    found = runner.contest(one, (default, call), Confirming(repeats=2))
    assert isinstance(found, tuple), found
    assert [finalist.right for finalist in found] == [True, True]


def test_a_rank_too_high_is_invalid_and_costs_no_child(tools: Tools) -> None:
    builder, runner = tools
    one = task("dense")
    assert runner.run(one, builder.build(one, CUBLASLT), INFINITE).status is Status.OK
    before = runner.child.call(Process(), 60.0).value
    timing = runner.run(one, builder.build(one, vendor_config("cuBLASLt", 7)), INFINITE)
    assert timing.status is Status.INVALID
    assert timing.error == "cuBLASLt has 2 algorithms for this layer."
    assert runner.child.call(Process(), 60.0).value == before


def test_a_layer_that_a_library_has_no_function_for_is_invalid(tools: Tools) -> None:
    artifact = tools[0].build(task("softmax"), CUBLASLT)
    assert artifact.status is Status.INVALID
    assert "cuBLASLt has no function for this layer" in artifact.error


def winner(builder: Builders, runner: CudaRunner) -> Config:
    """The winner of a contest of a call with the default schedule."""
    one = task("dense")
    records = [record(one, DEFAULT, 2.0), record(one, CUBLASLT, 1.0)]
    measurer = Measurer(pool(builder), pool(runner))
    return asyncio.run(choose(one, records, measurer, Confirming(repeats=3))).config


def test_the_faster_one_wins(tools: Tools) -> None:
    assert winner(*tools) == CUBLASLT


def test_without_the_libraries_the_default_stays(tools: Tools, kept: Path) -> None:
    """A runner knows before the search what it lacks."""
    assert tools[1].survey().lacking == ()
    with ExitStack() as stack:
        runner = started(stack, kept, CHAMELEON_VENDOR_PATH=str(kept))
        found = runner.survey()
        assert found.error == ""
        assert [name for name, _ in found.lacking] == ["cuBLASLt", "cuDNN"]
        assert winner(tools[0], runner) == DEFAULT


def test_a_slow_library_does_not_win(tools: Tools, kept: Path) -> None:
    with ExitStack() as stack:
        runner = started(stack, kept, VENDOR_SECONDS="0.2")
        assert winner(tools[0], runner) == DEFAULT


def test_a_model_that_calls_a_library_runs_with_graphs_and_without(
    tmp_path: Path, kept: Path
) -> None:
    """It is compiled where there is no driver, and run where there is a GPU."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in simulated(driver=None).items():
                patch.setenv(name, value)
            process = ModelProcess(CUDA, CORES, stack)
            file = dense_layers(tmp_path / "dense.onnx", 32, 16, 24, 8, 12)
            prepared = process.prepare(Request(file, target="cuda:sm_90"))
            assert {one.vendor for one in prepared.tasks} == {("cuBLASLt",)}
            chosen = {one.digest: (CUBLASLT, 1e-3) for one in prepared.tasks}
            applied = process.compile_tuned(chosen, tmp_path / "model.so", tmp_path / "database")
            assert applied == set(chosen)
            assert process.compile_graphs(tmp_path / "graphs.so")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        set_up(patch, kept, {})
        bench = ModelBench(CUDA, CORES)
        stack.callback(bench.close)
        for name in ("model.so", "graphs.so"):
            verified = process.check(tmp_path / name, prepared, bench, replayed=True)
            assert verified.outcome == "verified", (name, verified.fault)
        assert os.environ["CHAMELEON_VENDOR_PATH"] == str(standins())
