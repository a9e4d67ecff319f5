"""Runners: what they make of good, broken, endless, crashing and wrong artifacts."""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Artifact, Timing
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.tvm import layers

PATIENT = Measuring(build_timeout=30.0, run_timeout=30.0, load_timeout=30.0, long_seconds=10.0)
"""For machines that are busy with other things."""
INFINITE = float("inf")
ENTRY = b"@__tvm_ffi_main("
SIGNATURE = b"\ndefine i32 @__tvm_ffi_main(ptr %self, ptr %args, i32 %count, ptr %result) {\n"
HANGS = SIGNATURE + b"  br label %again\nagain:\n  br label %again\n}\n"
CALL = b"  call i32 @unused(ptr %self, ptr %args, i32 %count, ptr %result)\n"
SLOW = SIGNATURE + 500 * CALL + b"  ret i32 0\n}\n"
CRASHES = SIGNATURE + b"  store volatile i32 1, ptr null\n  ret i32 0\n}\n"


@pytest.fixture(scope="module")
def builder() -> Iterator[ChildBuilder]:
    made = ChildBuilder(LLVM, PATIENT, available()[:1])
    yield made
    made.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[CpuRunner]:
    made = CpuRunner(LLVM, PATIENT, available()[-1:], "this machine")
    yield made
    made.close()


@pytest.fixture(scope="module")
def linker() -> Iterator[ChildBuilder]:
    made = ChildBuilder(LLVM, PATIENT, available()[:1], linked=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def good(builder: ChildBuilder) -> Artifact:
    return builder.build(layers.task_of("dense"), DEFAULT)


def assert_works(runner: CpuRunner, good: Artifact) -> None:
    timing = runner.run(layers.task_of("dense"), good, INFINITE)
    assert timing.status is Status.OK, timing.error


def replaced(artifact: Artifact, body: bytes) -> Artifact:
    """The same library with another entry function."""
    assert ENTRY in artifact.code
    return Artifact(artifact.code.replace(ENTRY, b"@unused(", 1) + body)


@pytest.mark.parametrize("kind", [*layers.KINDS, "brain", "boolean"])
def test_times_every_kind_of_layer(builder: ChildBuilder, runner: CpuRunner, kind: str) -> None:
    task = layers.task_of(kind)
    config = as_configs(task.space.random(np.random.default_rng(4), 1))[0]
    artifacts = tuple(builder.build(task, c) for c in (DEFAULT, config))
    assert [artifact.status for artifact in artifacts] == [Status.OK] * 2
    timing = runner.run(task, artifacts[1], INFINITE)
    assert timing.status is Status.OK, timing.error
    assert len(timing.latencies) == PATIENT.repeats
    assert all(0 < latency < 1 for latency in timing.latencies)
    assert 0 < timing.timing_seconds < timing.seconds
    assert timing.device == "this machine"
    contest = runner.contest(task, artifacts, Confirming(repeats=3))
    assert not isinstance(contest, Timing), contest
    assert [finalist.right for finalist in contest] == [True, True]
    assert max(len(finalist.latencies) for finalist in contest) == 3
    assert contest[0].max_abs_err == 0.0


@pytest.mark.parametrize("kind", [*layers.KINDS, "brain", "boolean"])
def test_a_shared_library_is_as_good_as_llvm_ir(
    builder: ChildBuilder, linker: ChildBuilder, runner: CpuRunner, kind: str
) -> None:
    task = layers.task_of(kind)
    config = as_configs(task.space.random(np.random.default_rng(4), 1))[0]
    artifacts = tuple(b.build(task, c) for b in (builder, linker) for c in (DEFAULT, config))
    assert [artifact.code.startswith(b"\x7fELF") for artifact in artifacts] == [False] * 2 + [
        True
    ] * 2
    assert runner.run(task, artifacts[3], INFINITE).status is Status.OK
    contest = runner.contest(task, artifacts, Confirming(repeats=3))
    assert not isinstance(contest, Timing), contest
    assert [finalist.right for finalist in contest] == [True] * 4
    assert [finalist.max_abs_err for finalist in contest[2:]] == [
        finalist.max_abs_err for finalist in contest[:2]
    ]


def test_a_runner_builds_what_a_builder_does(builder: ChildBuilder, runner: CpuRunner) -> None:
    task = layers.task_of("dense")
    config = as_configs(task.space.random(np.random.default_rng(4), 1))[0]
    theirs, own = builder.build(task, config), runner.build(task, config)
    assert (own.status, own.default) == (theirs.status, theirs.default) == (Status.OK, False)
    contest = runner.contest(task, (theirs, own), Confirming(repeats=3))
    assert not isinstance(contest, Timing), contest
    assert [finalist.max_abs_err for finalist in contest] == [0.0, 0.0]


def test_a_runner_survives_what_does_not_compile(good: Artifact) -> None:
    hasty = CpuRunner(LLVM, replace(PATIENT, build_timeout=1.0), available()[-1:], "")
    try:
        endless = layers.task(layers.unrolled(1 << 24), "unrolled")
        assert hasty.build(endless, DEFAULT).status is Status.BUILD_TIMEOUT
        assert_works(hasty, good)
    finally:
        hasty.close()


def test_a_hopeless_candidate_is_timed_once(runner: CpuRunner, good: Artifact) -> None:
    task = layers.task_of("dense")
    hopeless = runner.run(task, good, 1e-9)
    assert hopeless.status is Status.OK
    assert len(hopeless.latencies) == 1
    assert len(runner.run(task, good, 100 * hopeless.latencies[0]).latencies) == PATIENT.repeats


def test_a_hopeless_finalist_is_timed_once(runner: CpuRunner, good: Artifact) -> None:
    task = layers.task_of("dense")
    contest = runner.contest(task, (good, replaced(good, SLOW)), Confirming(repeats=5))
    assert not isinstance(contest, Timing), contest
    assert [len(finalist.latencies) for finalist in contest] == [5, 1]
    assert contest[1].latencies[0] > 4 * max(contest[0].latencies)


def test_a_slow_kernel_is_timed_once(good: Artifact) -> None:
    runner = CpuRunner(LLVM, replace(PATIENT, long_seconds=1e-9), available()[-1:], "")
    try:
        assert len(runner.run(layers.task_of("dense"), good, INFINITE).latencies) == 1
        contest = runner.contest(layers.task_of("dense"), (good, good), Confirming())
        assert not isinstance(contest, Timing)
        assert all(len(finalist.latencies) >= 1 for finalist in contest)
    finally:
        runner.close()


def test_a_slow_default_is_not_run_again_for_its_output(good: Artifact) -> None:
    options = replace(PATIENT, long_seconds=1e-9, hopeless=1e-9)
    runner = CpuRunner(LLVM, options, available()[-1:], "")
    try:
        task = layers.task_of("dense")
        default = replace(good, default=True)
        assert runner.run(task, default, INFINITE).status is Status.OK
        lazy = replaced(good, SIGNATURE + b"  ret i32 0\n}\n")
        contest = runner.contest(task, (replaced(good, HANGS), lazy, good), Confirming())
        assert not isinstance(contest, Timing), contest
        assert [finalist.right for finalist in contest] == [True, False, True]
    finally:
        runner.close()


@pytest.mark.parametrize(
    "code", [b"", b"garbage", b"\x00" * 100, b"\x7fELF" * 50, "cut", "nothing in it"]
)
def test_garbage_is_a_failure(runner: CpuRunner, good: Artifact, code: bytes | str) -> None:
    if code == "cut":
        code = good.code[: len(good.code) // 2]
    elif code == "nothing in it":
        code = good.code.replace(ENTRY, b"@unused(", 1)
    assert isinstance(code, bytes)
    timing = runner.run(layers.task_of("dense"), Artifact(code), INFINITE)
    assert timing.status in (Status.RUN_ERROR, Status.CRASH)
    assert timing.error
    assert timing.latencies == ()
    assert_works(runner, good)


def test_a_kernel_that_hangs_is_stopped(runner: CpuRunner, good: Artifact) -> None:
    runner.child.options = replace(PATIENT, run_timeout=1.0)
    began = time.perf_counter()
    timing = runner.run(layers.task_of("dense"), replaced(good, HANGS), INFINITE)
    runner.child.options = PATIENT
    assert timing.status is Status.RUN_TIMEOUT
    assert "1 s" in timing.error
    assert time.perf_counter() - began < 10.0
    assert_works(runner, good)


def test_a_kernel_that_crashes_is_a_crash(runner: CpuRunner, good: Artifact) -> None:
    timing = runner.run(layers.task_of("dense"), replaced(good, CRASHES), INFINITE)
    assert timing.status is Status.CRASH
    assert "SIGSEGV" in timing.error
    assert_works(runner, good)
    contest = runner.contest(
        layers.task_of("dense"), (good, replaced(good, CRASHES)), Confirming(repeats=1)
    )
    assert isinstance(contest, Timing)
    assert contest.status is Status.CRASH
    assert_works(runner, good)


def test_a_kernel_too_large_is_a_failure(builder: ChildBuilder) -> None:
    large = layers.task(layers.add(1 << 21))  # three buffers of 512 MiB
    artifact = builder.build(large, DEFAULT)
    frugal = CpuRunner(LLVM, replace(PATIENT, memory_bytes=1 << 29), available()[-1:], "")
    try:
        timing = frugal.run(large, artifact, INFINITE)
        assert timing.status in (Status.RUN_ERROR, Status.CRASH)
        assert "memory" in timing.error or "SIG" in timing.error
        small = layers.task_of("add")
        assert frugal.run(small, builder.build(small, DEFAULT), INFINITE).status is Status.OK
    finally:
        frugal.close()


def test_a_wrong_candidate_is_found(builder: ChildBuilder, runner: CpuRunner) -> None:
    task = layers.task_of("add")
    config = as_configs(task.space.random(np.random.default_rng(0), 1))[0]
    right, wrong = builder.build(task, config), builder.build(layers.task(layers.minus()), DEFAULT)
    contest = runner.contest(
        task, (builder.build(task, DEFAULT), wrong, right), Confirming(repeats=1)
    )
    assert not isinstance(contest, Timing), contest
    assert [finalist.right for finalist in contest] == [True, False, True]
    assert contest[1].max_abs_err > 1.0
    assert contest[2].max_abs_err == 0.0


def test_a_candidate_that_writes_nothing_is_wrong(runner: CpuRunner, good: Artifact) -> None:
    lazy = replaced(good, SIGNATURE + b"  ret i32 0\n}\n")
    contest = runner.contest(layers.task_of("dense"), (good, lazy), Confirming(repeats=1))
    assert not isinstance(contest, Timing), contest
    assert [finalist.right for finalist in contest] == [True, False]


def test_every_layer_gets_its_own_inputs(builder: ChildBuilder, runner: CpuRunner) -> None:
    for task in (small := layers.task_of("add"), layers.task(layers.add(8)), small):
        assert isinstance(task, Task)
        assert runner.run(task, builder.build(task, DEFAULT), INFINITE).status is Status.OK


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("dtype", "output", "reference", "expected"),
    [
        ("float32", [1.0, 2.0], [1.0, 2.0], (0.0, 0.0, True)),
        ("float32", [1.0, 2.5], [1.0, 2.0], (0.5, 0.25, False)),
        ("float64", [1.0, 2.0 + 1e-8], [1.0, 2.0], (1e-8, 5e-9, False)),
        ("float32", [100.005], [100.0], (0.005, 5e-5, True)),
        ("float16", [100.5], [100.0], (0.5, 0.005, True)),
        ("float16", [102.0], [100.0], (2.0, 0.02, False)),
        ("bfloat16", [104.0], [100.0], (4.0, 0.04, True)),
        ("int32", [1, 2], [1, 2], (0.0, 0.0, True)),
        ("int8", [1, 3], [1, 2], (INF, INF, False)),
        ("bool", [True], [False], (INF, INF, False)),
        ("float32", [NAN, 1.0], [NAN, 1.0], (0.0, 0.0, True)),
        ("float32", [NAN, 1.0], [1.0, 1.0], (INF, INF, False)),
        ("float32", [1.0, 1.0], [NAN, 1.0], (INF, INF, False)),
        ("float32", [INF, 1.0], [INF, 1.0], (0.0, 0.0, True)),
        ("float32", [-INF, 1.0], [INF, 1.0], (INF, INF, False)),
        ("float32", [NAN, 1.0], [INF, 1.0], (INF, INF, False)),
        ("float32", [NAN], [NAN], (0.0, 0.0, True)),
        ("float32", [0.0], [0.0], (0.0, 0.0, True)),
        ("float32", [1e-3], [0.0], (1e-3, 1e-3, False)),
        ("float32", [], [], (0.0, 0.0, True)),
    ],
)
def test_difference(
    dtype: str, output: list, reference: list, expected: tuple[float, float, bool]
) -> None:
    found = difference(np.array(output, dtype), np.array(reference, dtype))
    assert found[:2] == pytest.approx(expected[:2], rel=1e-2)
    assert found[2] is expected[2]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "uint8", "bool"])
def test_inputs_have_their_dtype_and_range(dtype: str) -> None:
    array = random_array(np.random.default_rng(0), (50, 3), dtype)
    assert str(array.dtype) == dtype
    assert array.shape == (50, 3)
    assert np.abs(array.astype("f8")).max() <= 1
    again = random_array(np.random.default_rng(0), (50, 3), dtype)
    np.testing.assert_array_equal(array.astype("f8"), again.astype("f8"))
