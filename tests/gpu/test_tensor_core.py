"""Kernels of the template for tensor cores compute what their layers do, on a simulated GPU."""

from collections.abc import Iterator

import numpy as np
import pytest
import tvm

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import layer_digest
from chameleon_ray.measure.cores import available
from chameleon_ray.record import Status
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT, target, tvm_target
from tests.gpu.conftest import simulated
from tests.tvm import products
from tests.tvm.layers import unoptimised

ARCH = "sm_90"
CLOSE = {"bfloat16": 8e-3, "float16": 1e-3, "float32": 2e-3}
"""Largest error over the largest magnitude that is right, by the type of factors.

It is a rounding of the output, and where factors are rounded to TF32 one of each of them.
"""


@pytest.fixture(scope="module")
def tools() -> Iterator[tuple[ChildBuilder, CudaRunner]]:
    """A builder and a runner with a simulated H100."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in simulated().items():
            patch.setenv(name, value)
        builder, runner = ChildBuilder(CUDA, PATIENT, available()[:1]), CudaRunner(PATIENT)
        yield builder, runner
        builder.close()
        runner.close()


@pytest.mark.parametrize("name", products.LAYERS)
def test_every_sketch_is_right(tools: tuple[ChildBuilder, CudaRunner], name: str) -> None:
    builder, runner = tools
    layer = products.LAYERS[name]()
    space, program = design(layer, tvm_target(ARCH), CUDA)
    digest = layer_digest(layer["main"], target(ARCH))
    task = Task(name, digest, target(ARCH), 1, 1e6, space, program.dumps())
    drawn = as_configs(space.random(np.random.default_rng(0), 300))
    for config in {
        config[0] if len(program.sketches) > 1 else 0: config for config in drawn
    }.values():
        artifact = builder.build(task, config)
        assert artifact.status is Status.OK, artifact.error
        outputs = runner.outputs(task, artifact)
        assert isinstance(outputs, list), outputs
        wanted = on_cpu(layer, outputs).astype("float64")
        error = np.abs(outputs[-1].astype("float64") - wanted).max() / np.abs(wanted).max()
        assert error < CLOSE[str(outputs[0].dtype)], config


def on_cpu(layer: tvm.IRModule, arrays: list[np.ndarray]) -> np.ndarray:
    """What the layer, not scheduled, writes to its last buffer, with sums of float32."""
    buffers = [tvm.runtime.tensor(array) for array in arrays]
    tvm.compile(layer, target=unoptimised()).jit()["main"](*buffers)
    result: np.ndarray = buffers[-1].numpy()
    return result
