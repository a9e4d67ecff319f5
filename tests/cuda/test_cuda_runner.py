"""Runners of GPUs where there is none, and what needs no GPU; ``tests/gpu`` has simulated ones."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chameleon_ray.budget import Budget
from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.cuda_timer import shots_of
from chameleon_ray.compiler.runtime.jobs import DeviceLost
from chameleon_ray.engine import Engine
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Artifact, Finalist, Measurer, Timing
from chameleon_ray.options import Budgeting, Confirming, Measuring
from chameleon_ray.pool import InProcessPool
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.tuner import Tuner
from tests.cuda.kernels import PATIENT, task, usable_compiler
from tests.pure import engine_checks, toys

ROOT = Path(__file__).parents[2]
INFINITE = float("inf")


@pytest.fixture(scope="module")
def builder() -> Iterator[ChildBuilder]:
    usable_compiler("sm_90")
    made = ChildBuilder(CUDA, PATIENT, available()[:1])
    yield made
    made.close()


def test_without_a_gpu_a_runner_says_so_and_lives() -> None:
    made = CudaRunner(PATIENT)
    try:
        found = made.survey()
        if not found.error:
            pytest.skip("there is a GPU")
        assert found.error.startswith("TVM sees no GPU on this machine: ")
        for _ in range(2):
            with pytest.raises(DeviceLost, match="the GPU cannot be used: TVM sees no GPU"):
                made.run(task("dense"), Artifact(b""), INFINITE)
        with pytest.raises(DeviceLost):
            made.contest(task("dense"), (Artifact(),), Confirming())
    finally:
        made.close()


def test_short_kernels_are_executed_more_often() -> None:
    options = Measuring(repeat_seconds=0.01, shots=50)
    assert [shots_of(s, options) for s in (1e-6, 1e-3, 9e-3, 1.0)] == [50, 10, 1, 1]


class RecordedRunner:
    """Stands in for a GPU: the fewer blocks can be resident, the longer a kernel takes."""

    def run(self, one: object, artifact: Artifact, best: float) -> Timing:
        taken = json.loads(artifact.resources)
        seconds = 1e-3 / taken["occupancy"] + 1e-6 * taken["registers"]
        return Timing((seconds,), Status.OK, 0.001, seconds, "recorded", "", '{"celsius": 40}')

    def contest(self, one: object, artifacts: tuple, options: object) -> tuple[Finalist, ...]:
        return tuple(Finalist((1.0,), 0.0, 0.0, True) for _ in artifacts)


def test_the_engine_runs_on_builders_for_gpus_and_keeps_what_kernels_take() -> None:
    usable_compiler("sm_90")
    notes, search = engine_checks.Notes(), engine_checks.QUICK
    one = task("softmax")

    async def body() -> Tuner:
        def start_pool(name: str, factory: object) -> InProcessPool:
            return InProcessPool(name, factory, {}, time.perf_counter())  # type: ignore[arg-type]

        system = SearchSystem(
            cost_model=start_pool("cost model", lambda: toys.cost_model(search)),
            explorers=start_pool("explorer", lambda: toys.explorer(search)),
            sampler=start_pool("sampler", lambda: toys.sampler(search)),
        )
        made = ChildBuilder(CUDA, PATIENT, available()[:1])
        measurer = Measurer(
            start_pool("builder", lambda: made), start_pool("runner", RecordedRunner)
        )
        tuner = Tuner(one, system, search, 0)
        budget = Budget([tuner], Budgeting(), 20, None, lambda: 0.0)
        await Engine(budget, measurer, "none", notes, lambda: 0.0, 1).run()
        made.close()
        return tuner

    tuner = asyncio.run(body())
    assert len(notes.records) == 20
    assert {record.device for record in notes.records if record.latencies} == {"recorded"}
    timed = [record for record in notes.records if record.status is Status.OK]
    assert timed
    assert all(json.loads(record.resources)["threads"] > 0 for record in timed)
    assert all(record.conditions == '{"celsius": 40}' for record in timed)
    assert tuner.best is not None


def test_gpu_check_ends_in_a_sentence_where_there_is_no_gpu(tmp_path: Path) -> None:
    script, out = str(ROOT / "scripts" / "gpu_check.py"), str(tmp_path / "out")
    done = subprocess.run(
        [sys.executable, script, "--out", out],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no GPU can be used here: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_gpu_check_breaks_keeps_its_kernels_name(
    builder: ChildBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from gpu_faults import FAULTS, broken

    from chameleon_ray.compiler.codegen.cuda_library import Library
    from chameleon_ray.compiler.codegen.cuda_resources import kernels

    one = task("dense")
    good = builder.build(one, DEFAULT)
    names = {kernel.name for kernel in kernels(Library.loads(good.code).binary)}
    for statements in FAULTS.values():
        code = broken(good, one.target, statements).code
        assert {kernel.name for kernel in kernels(Library.loads(code).binary)} == names
        assert code != good.code
