"""Runners of simulated GPUs: how they time, and what becomes of them when something goes wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tvm import relax, te, topi

from chameleon_ray.api.session_model import circumstances_of
from chameleon_ray.compiler.apply import compile_model
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.jobs import DeviceLost
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.tvm_process import load_cudart
from chameleon_ray.measure.bench import Outputs
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT, target, task, tvm_target
from tests.gpu.conftest import Builders, simulated
from tests.gpu.vendor.build import standins
from tests.tvm import layers

INFINITE = float("inf")
# of a simulated H100's memory a context takes 256 MiB, and what empties the cache 200 MiB
QUICK = replace(PATIENT, shots=5, wake_seconds=0.0, run_timeout=20.0, context_timeout=20.0)


@pytest.fixture(scope="module")
def good(builders: Builders) -> Artifact:
    """A layer's default schedule."""
    artifact = builders.build(task("dense"), DEFAULT)
    assert artifact.status is Status.OK, artifact.error
    return artifact


def on(patch: pytest.MonkeyPatch, **machine: object) -> CudaRunner:
    """A runner of a machine with these GPUs and faults."""
    for name, value in simulated(**machine).items():  # type: ignore[arg-type]
        patch.setenv(name, value)
    return CudaRunner(QUICK)


def added(megabytes: int) -> Task:
    """A layer that adds two arrays of so many MiB each, and writes a third."""
    x, y = (te.placeholder((megabytes, 1 << 18), name=name) for name in ("x", "y"))
    layer = layers.module(x, y, topi.add(x, y))
    space, program = design(layer, tvm_target("sm_90"), CUDA)
    return Task("add", "add", target("sm_90"), 1, 1.0, space, program.dumps())


def test_it_times_and_says_on_what(gpu: dict[str, str], good: Artifact) -> None:
    runner = CudaRunner(QUICK)
    runner.warm()
    timing = runner.run(task("dense"), good, INFINITE)
    assert timing.status is Status.OK, timing.error
    assert timing.device == "NVIDIA H100 80GB HBM3"
    assert json.loads(timing.conditions)["sm_mhz"] > 0
    contest = runner.contest(task("dense"), (good,), Confirming(repeats=2))
    assert isinstance(contest, tuple)
    assert contest[0].right
    runner.close()


def test_whole_models_run_on_a_gpu_that_allows_one_process(
    monkeypatch: pytest.MonkeyPatch, good: Artifact, tmp_path: Path
) -> None:
    """As in the compute mode EXCLUSIVE_PROCESS, which schedulers of jobs set."""
    runner = on(monkeypatch, exclusive=tmp_path / "lock")
    other = CudaRunner(QUICK)
    one = Calibrated(runner, "here", models=ModelBench(CUDA, available()[:1]))
    runner.warm()
    with pytest.raises(DeviceLost, match="TVM cannot open the GPU: the GPU is lost, or in use"):
        other.warm()
    assert one.survey().device == "NVIDIA H100 80GB HBM3"
    other.warm()  # it is open to others until there is a kernel to time
    other.close()
    assert one.run(task("dense"), good, INFINITE).status is Status.OK
    file = tmp_path / "model.so"
    compiler = Isolate(Setting(f"{__name__}:compiles"))
    assert compiler.call(file, 120).ending is Ending.OK
    compiler.close()
    question = Outputs((str(file),), (np.ones((1, 4096), "float32"),))
    assert one.bench(question, ()).ending is Ending.OK
    assert one.run(task("dense"), good, INFINITE).status is Status.OK
    one.close()


def test_a_survey_tells_the_versions_of_the_runners_machine(
    gpu: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the command's machine may not have."""
    monkeypatch.setenv("CHAMELEON_VENDOR_PATH", str(standins()))
    with closing(CudaRunner(QUICK)) as runner:
        found = runner.survey()
    versions = {"driver": "580.95.05", "cuBLASLt": "13.10.0", "cuDNN": "9.28.0"}
    assert dict(found.versions) == versions
    monkeypatch.setenv("CHAMELEON_VENDOR_PATH", "")
    known = circumstances_of(found.device, found.target, (), versions).versions
    assert {name: known[name] for name in versions} == versions
    assert not set(versions) & set(circumstances_of(found.device, found.target, (), {}).versions)


@pytest.mark.parametrize(
    ("machine", "visible", "sentence"),
    [
        ({"divided": 1}, None, "the GPU is divided into instances (MIG), which disturb each"),
        (
            {"driver": "570.86.15"},
            None,
            "NVIDIA's driver 570.86.15 is too old: TVM needs a driver for CUDA 13 (580 or later); "
            "install one.",
        ),
        ({"driver": None}, None, "libcuda.so.1 is neither on the loader's path nor in /usr/local"),
        ({"devices": 2}, "GPU-x", "CUDA_VISIBLE_DEVICES is 'GPU-x', and there is no such GPU"),
        (
            {"refuses": 802},
            None,
            "wait for, or start, NVIDIA's fabric manager (CUDA's",
        ),
        ({"devices": 0}, None, "its kernel module is not loaded, perhaps as there is no GPU"),
    ],
)
def test_a_machine_whose_gpu_cannot_be_used_says_why(
    machine: dict, visible: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    runner = on(monkeypatch, **machine)
    error = runner.survey().error
    assert error.startswith("TVM sees no GPU on this machine: ")
    assert sentence in error
    with pytest.raises(DeviceLost, match="TVM sees no GPU"):
        runner.warm()
    runner.close()


def test_the_gpu_is_opened_before_the_clock_of_a_job_starts(
    monkeypatch: pytest.MonkeyPatch, good: Artifact
) -> None:
    runner = on(monkeypatch, context_seconds=4)
    runner.child.options = replace(QUICK, run_timeout=3.5, load_timeout=3.5, default_timeout=3.5)
    timing = runner.run(task("dense"), good, INFINITE)
    assert timing.status is Status.OK, timing.error
    assert timing.seconds < 3.5
    runner.close()


def test_a_gpu_that_hangs_when_it_is_opened_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, good: Artifact
) -> None:
    runner = on(monkeypatch, context_seconds=600)
    runner.child.options = replace(QUICK, context_timeout=0.5)
    assert "stopped after 0.5 s" in runner.survey().error
    with pytest.raises(DeviceLost, match=r"cannot be used: The device cannot be opened \(stopped"):
        runner.run(task("dense"), good, INFINITE)
    runner.close()


def test_a_gpu_that_is_lost_in_mid_run_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, good: Artifact, tmp_path: Path
) -> None:
    """The child's error is no candidate's: the runner raises, and its pool takes another."""
    lost = tmp_path / "lost"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    runner = on(monkeypatch, lost=lost)
    assert runner.run(task("dense"), good, INFINITE).status is Status.OK
    lost.write_text("0\n")
    sentence = (
        r"^NVIDIA H100 80GB HBM3 cannot be used: TVM sees no GPU on this machine: "
        r"NVIDIA's driver answered .* \(the GPU is lost: it fell off the bus, .*\)\.$"
    )
    for _ in range(2):
        with pytest.raises(DeviceLost, match=sentence):
            runner.run(task("dense"), good, INFINITE)
    with pytest.raises(DeviceLost, match=sentence):
        runner.contest(task("dense"), (good, good), Confirming(repeats=1))
    assert runner.survey().error
    runner.close()


def test_a_layer_too_large_for_the_memory_says_how_much_it_needs(
    monkeypatch: pytest.MonkeyPatch, good: Artifact
) -> None:
    runner = on(monkeypatch, memory=576 << 20)
    timing = runner.run(added(64), good, INFINITE)
    assert timing.status is Status.RUN_ERROR
    assert timing.error.startswith(
        "The layer's buffers need at least 192.0 MiB of the GPU's memory"
    )
    assert "of which 120.0 MiB of 576.0 MiB are free; end what else uses" in timing.error
    assert runner.run(task("dense"), good, INFINITE).status is Status.OK
    runner.close()


def test_layers_that_fit_one_by_one_are_timed_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, builders: Builders
) -> None:
    """Buffers of earlier layers stay on the GPU only as long as there is room."""
    runner = on(monkeypatch, memory=576 << 20)
    for megabytes in (20, 24):
        one = added(megabytes)
        timing = runner.run(one, builders.build(one, DEFAULT), INFINITE)
        assert timing.status is Status.OK, timing.error
    runner.close()


def test_a_gpu_without_room_for_anything_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = on(monkeypatch, memory=400 << 20)
    assert "need at least 200.0 MiB of the GPU's memory" in runner.survey().error
    runner.close()


def wide(file: Path) -> None:
    """Compiles a model with 64 MiB of weights, in a process that has the simulated GPU."""
    load_cudart()
    x = relax.Var("x", relax.TensorType((1, 4096), "float32"))
    weight = relax.const(np.ones((4096, 4096), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            product = builder.emit_output(builder.emit(relax.op.matmul(x, weight)))
        builder.emit_func_output(product)
    compile_model(lower(builder.get(), tvm_target("sm_90"), CUDA), target("sm_90"), CUDA, file)


def compiles(_: object) -> Callable[[Path], None]:
    return wide


def test_a_model_too_large_for_the_memory_says_how_much_it_needs(
    tmp_path: Path, gpu: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.so"
    compiler = Isolate(Setting(f"{__name__}:compiles"))
    assert compiler.call(file, 120).ending is Ending.OK
    compiler.close()
    monkeypatch.setenv("SIMULATED_MEMORY", str(300 << 20))
    bench = ModelBench(CUDA, available()[:1])
    outcome = bench.ask(Outputs((str(file),), (np.ones((1, 4096), "float32"),)))
    bench.close()
    assert outcome.ending is Ending.ERROR
    assert outcome.error.startswith("The model's weights need at least 64.")
    assert "of 300.0 MiB are free" in outcome.error


def test_devices_that_are_lost_are_listed_as_such(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lost = tmp_path / "lost"
    lost.write_text("0\n")
    for name, value in simulated(devices=2, lost=lost).items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "chameleon_ray", "devices"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "NVIDIA H100 80GB HBM3, 80 GiB, driver 580.95.05: ready." in said
    assert "NVIDIA GPU 0: not usable. NVIDIA's driver answered" in said
    assert "error 15 (the GPU is lost: it fell off the bus" in said


def test_tune_says_why_a_gpu_cannot_be_used_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in simulated(driver="570.86.15").items():
        monkeypatch.setenv(name, value)
    options = ["--target", "cuda", "--engine", "serial", "--explorer", "random", "--trials", "9"]
    command = [sys.executable, "-m", "chameleon_ray", "tune", "tests.whole.net:make", *options]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: TVM sees no GPU on this machine: NVIDIA's driver 570.86.15 is too old: TVM needs a "
        "driver for CUDA 13 (580 or later); install one."
    )
    assert "importing" not in done.stderr + done.stdout
