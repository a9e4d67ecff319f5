"""The parts of ``gpu_check.py`` that run single kernels on the GPU."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gpu_faults
import gpu_kernels
import gpu_stamp
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
                alone = replace(kernels, artifacts=kernels.artifacts[:1], tried=0, failures={})
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
    """Runs all kernels, and enters which are not there."""
    sets = gpu_kernels.read(given.prebuilt)
    with runner_of(gpu_kernels.MEASURING) as runner:
        for one in sets:
            if not given.only or any(word in " ".join(one.names) for word in given.only):
                given.report.entry(one.names, lambda one=one: gpu_kernels.check(runner, one))
    for names in missing(sets, given.only, given.prebuilt):
        given.report.entry(names, lambda names=names: gpu_kernels.absent(*names))


def missing(
    sets: Sequence[gpu_kernels.Kernels], only: Sequence[str], folder: Path
) -> list[tuple[str, str, str]]:
    """Names of sets that have to be in a folder and are not.

    Args:
        sets: Those that are there, at least one.
        only: Words that choose among them; none for all that the folder was made for.
        folder: The folder.
    """
    arch, there = json.loads(sets[0].task.target)["arch"], {one.names for one in sets}
    pairs = gpu_kernels.chosen(only or gpu_stamp.stamped(folder)[1])
    wanted = gpu_kernels.expected_sets(only, arch)
    return [names for names in wanted if names[:2] in pairs and names not in there]


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
