"""Layers and tasks for GPUs that need not be there, and what skips tests where they cannot run."""

import json
import shutil
from functools import cache
from typing import Any

import pytest
import tvm

from chameleon_ray.compiler.codegen.cuda_compiler import CudaCompiler, compiler_for
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import layer_digest
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.options import Measuring
from chameleon_ray.task import Task
from tests.tvm import layers

PATIENT = Measuring(
    gpu_build_timeout=120.0, default_timeout=120.0, run_timeout=60.0, load_timeout=60.0
)
"""For machines that are busy with other things."""
ARCHS = ("sm_75", "sm_80", "sm_90")


def usable_compiler(arch: str) -> CudaCompiler:
    """A compiler, or the reason why the test is skipped."""
    try:
        return compiler_for(arch)
    except TargetError as error:
        pytest.skip(str(error))


def nvcc() -> str:
    """The command, or the reason why the test is skipped."""
    found = shutil.which("nvcc")
    if found is None:
        pytest.skip("there is no nvcc")
    return found


@cache
def target(arch: str) -> str:
    return resolve(f"cuda:{arch}", 1)


def tvm_target(arch: str) -> Any:
    return tvm.target.Target(json.loads(target(arch)))


@cache
def task(kind: str, arch: str = "sm_90") -> Task:
    """A layer of ``tests.tvm.layers`` on a GPU."""
    layer = layers.KINDS[kind]()
    space, program = design(layer, tvm_target(arch), CUDA)
    digest = layer_digest(layer["main"], target(arch))
    return Task(kind, digest, target(arch), 1, 1e6, space, program.dumps())
