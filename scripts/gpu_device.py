"""The parts of ``gpu_check.py`` that run single kernels on the GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gpu_faults
import gpu_kernels
from gpu_parts import Given

from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.options import Measuring

FIRST = "add"
"""The kind of layer of which the preflight runs one kernel for each data type."""


def preflight(given: Given) -> None:
    """Asks the GPU for its name, and runs one kernel of each data type on it."""
    with runner_of(gpu_kernels.MEASURING) as runner:
        given.report.entry(("gpu",), lambda: survey(runner))
        for kernels in gpu_kernels.read(given.prebuilt):
            if kernels.kind == FIRST:
                alone = replace(kernels, artifacts=kernels.artifacts[:1])
                given.report.entry(
                    kernels.names[:2], lambda alone=alone: gpu_kernels.check(runner, alone)
                )


def survey(runner: CudaRunner) -> dict[str, Any]:
    """What the GPU is; an error where none can be used."""
    found = runner.survey()
    if found.error:
        return {"error": found.error}
    return {"target": found.target, "device": found.device}


def kernels(given: Given) -> None:
    """Runs all kernels."""
    with runner_of(gpu_kernels.MEASURING) as runner:
        for one in gpu_kernels.read(given.prebuilt):
            if not given.only or any(word in " ".join(one.names) for word in given.only):
                given.report.entry(one.names, lambda one=one: gpu_kernels.check(runner, one))


def faults(given: Given) -> None:
    """Runs the kernels that go wrong, each followed by a right one."""
    faulty = gpu_faults.read(given.prebuilt)
    with runner_of(replace(gpu_kernels.MEASURING, run_timeout=gpu_faults.PATIENCE)) as runner:
        for name in faulty.broken:
            given.report.entry((name,), lambda name=name: gpu_faults.check(runner, faulty, name))


@contextmanager
def runner_of(options: Measuring) -> Iterator[CudaRunner]:
    """A runner of the GPU that this process sees first."""
    runner = CudaRunner(options)
    try:
        yield runner
    finally:
        runner.close()
