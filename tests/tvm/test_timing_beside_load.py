"""A load beside the timing core: its part of a timing is noticed, and taken off."""

import json
import subprocess
import sys
import time
from statistics import median

import pytest

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Timing
from chameleon_ray.measure.run_delay import THREAD
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import DEFAULT, DISTURBED
from tests.tvm import layers

PATIENT = Measuring(build_timeout=30.0, run_timeout=30.0, load_timeout=30.0, long_seconds=10.0)
INFINITE = float("inf")


@pytest.mark.skipif(not THREAD.exists(), reason="the kernel counts no run delay")
def test_a_load_beside_the_timing_is_taken_off_and_told() -> None:
    task, runner = layers.task_of("dense"), CpuRunner(LLVM, PATIENT, available()[-1:], "this one")
    builder = ChildBuilder(LLVM, PATIENT, available()[:1])
    good = builder.build(task, DEFAULT)
    quiet = runner.run(task, good, INFINITE)
    busy = f"import os; os.sched_setaffinity(0, {{{available()[-1]}}})\nwhile 1: pass"
    load = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(3)]
    try:
        time.sleep(0.3)
        timing = runner.run(task, good, INFINITE)
        contest = runner.contest(task, (good, good), Confirming(repeats=3))
    finally:
        for process in load:
            process.kill()
            process.wait()
        builder.close()
        runner.close()
    assert json.loads(timing.conditions)[DISTURBED] > 0.3
    assert median(timing.latencies) < 2 * median(quiet.latencies)  # the clock says four times
    assert not isinstance(contest, Timing), contest
    assert min(finalist.disturbed for finalist in contest) > 0.3
