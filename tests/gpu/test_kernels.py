"""Layers tuned for simulated GPUs compute what they compute on a CPU."""

from collections.abc import Iterator

import numpy as np
import pytest
import tvm

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.measure.cores import available
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT, task
from tests.gpu.conftest import simulated
from tests.tvm.layers import unoptimised

INFINITE = float("inf")


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


def on_cpu(one: Task, arrays: list[np.ndarray]) -> np.ndarray:
    """What the layer's own program writes to its last buffer."""
    buffers = [tvm.runtime.tensor(array) for array in arrays]
    tvm.compile(Program.loads(one.program).module, target=unoptimised()).jit()["main"](*buffers)
    return buffers[-1].numpy()


@pytest.mark.parametrize("kind", ["dense", "conv", "half", "softmax"])
def test_tuned_layers_are_right(tools: tuple[ChildBuilder, CudaRunner], kind: str) -> None:
    builder, runner = tools
    one, right = task(kind), 0
    for config in (DEFAULT, *as_configs(one.space.random(np.random.default_rng(1), 3))):
        artifact = builder.build(one, config)
        if artifact.status is not Status.OK:
            continue
        outputs = runner.outputs(one, artifact)
        assert isinstance(outputs, list), outputs
        assert difference(outputs[-1], on_cpu(one, outputs))[2], (kind, config)
        assert runner.run(one, artifact, INFINITE).status is Status.OK
        right += 1
    assert right
