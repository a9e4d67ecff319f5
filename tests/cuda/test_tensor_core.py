"""Kernels for tensor cores, as NVIDIA's compiler makes them for GPUs that need not be there."""

from typing import Any

import numpy as np
import pytest

from chameleon_ray.compiler.codegen.cuda_compiler import Binary, compiler_for
from chameleon_ray.compiler.codegen.cuda_library import compile_kernels
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.template_limits import template_limits
from chameleon_ray.compiler.spaces.templates.cuda_split_sums import THREADS
from chameleon_ray.compiler.spaces.templates.cuda_tensor_core import cuda_tensor_core
from chameleon_ray.space import as_configs
from tests.cuda.kernels import tvm_target, usable_compiler
from tests.tvm import products


class Kept:
    """The machine's compiler, which keeps the source of what it compiles."""

    def __init__(self, arch: str) -> None:
        self._compiler, self.source = compiler_for(arch), ""
        self.name = self._compiler.name

    def compile(self, source: str) -> Binary:
        self.source = source[source.index('extern "C"') :]
        return self._compiler.compile(source)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", ["3x3", "dense, TF32", "7x7 of three channels"])
def test_kernels_take_what_their_limits_say(name: str, arch: str) -> None:
    usable_compiler(arch)
    target, compiler = tvm_target(arch), Kept(arch)
    layer = products.LAYERS[name]()
    space, program = design(layer, target, CUDA)
    fitted = cuda_tensor_core(layer, target)
    assert fitted is not None
    limits = template_limits(fitted, program.sketches)
    for config in one_of_each_sketch(space, program):
        module = program.schedule(config, CUDA.generator).mod
        _, taken = compile_kernels(module, target, compiler)
        row = np.array([config])
        amounts = {
            limit.name: int(limit.amounts(row)[0]) for limit in limits if limit.concerns(row)[0]
        }
        split = "main_kernel_1" in compiler.source
        assert taken.kernels == (2 if split else 1)
        assert taken.threads == max(amounts["threads per block"], THREADS if split else 0)
        assert taken.shared == amounts["shared memory"]
        assert (taken.stack, taken.spilled) == (0, 0)
        assert "mma.sync.aligned.m16n8k" in compiler.source
        assert "ldmatrix.sync.aligned" in compiler.source
        assert ("cp_async" in compiler.source) == ("7x7" not in name)


def one_of_each_sketch(space: Any, program: Any) -> list[tuple[int, ...]]:
    """One valid configuration of each sketch, drawn at random."""
    drawn = as_configs(space.random(np.random.default_rng(0), 300))
    found = {config[0] if len(program.sketches) > 1 else 0: config for config in drawn}
    assert len(found) == len(program.sketches)
    return [config for _, config in sorted(found.items())]
