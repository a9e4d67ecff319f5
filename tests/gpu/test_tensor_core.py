"""Kernels of the template for tensor cores compute what their layers do, on a simulated GPU."""

import numpy as np
import pytest
import tvm

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import layer_digest
from chameleon_ray.record import Status
from chameleon_ray.task import Task
from tests.cuda.kernels import target, tvm_target
from tests.cuda.test_tensor_core import one_of_each_sketch
from tests.gpu.conftest import Tools
from tests.tvm import products
from tests.tvm.layers import unoptimised

ARCH = "sm_90"
CLOSE = {"bfloat16": 8e-3, "float16": 1e-3, "float32": 2e-3}
"""Largest error over the largest magnitude that is right, by the type of factors.

It is a rounding of the output, and where factors are rounded to TF32 one of each of them.
"""


@pytest.mark.parametrize("name", products.LAYERS)
def test_kernels_are_right(tools: Tools, name: str) -> None:
    """All sketches of one layer, and of every other the last, which has all that there is."""
    builders, runner = tools
    layer = products.LAYERS[name]()
    space, program = design(layer, tvm_target(ARCH), CUDA)
    digest = layer_digest(layer["main"], target(ARCH))
    task = Task(name, digest, target(ARCH), 1, 1e6, space, program.dumps())
    sketches = one_of_each_sketch(space, program)
    configs = sketches if name == "3x3" else sketches[-1:]
    for config, artifact in zip(configs, builders.ahead(task, configs), strict=True):
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
