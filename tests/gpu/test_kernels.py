"""What is generated for GPUs computes what the layer does: all templates, sketches and precisions.

Layers are built, and run on a simulated GPU, by the builders and runners of the project. The
reference is the layer's own loops, which LLVM compiles for the CPU.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import tvm

from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.layer_precision import layer_precision
from chameleon_ray.compiler.runtime.tolerance import differences
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT
from tests.gpu.conftest import Builders, Tools, with_gpu
from tests.tvm.layers import unoptimised
from tests.tvm.test_cuda_space import LAYERS, tasks, varied

INFINITE = float("inf")
CONFIGS = 2
"""Configurations of each sketch that are tried."""
WINOGRAD = [name for name in LAYERS if "Winograd" in name]
SHORT = ["bias and relu", "residual", "dense", "batched products", "softmax"]
"""Layers that are tried in 16-bit floats and TF32, too."""


@pytest.fixture(scope="module")
def tools(builders: Builders) -> Iterator[Tools]:
    """Builders, and a runner with a simulated A100."""
    with with_gpu(model="A100"):
        runner = CudaRunner(PATIENT)
    yield builders, runner
    runner.close()


def on_cpu(task: Task, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The layer's buffers after its own loops."""
    buffers = [tvm.runtime.tensor(array) for array in arrays]
    tvm.compile(Program.loads(task.program).module, target=unoptimised()).jit()["main"](*buffers)
    return [buffer.numpy() for buffer in buffers]


def right(tools: Tools, task: Task, configs: Sequence[tuple[int, ...]]) -> int:
    """Demands that configurations that compile are right; returns how many these are."""
    builders, runner = tools
    reference, precision, found = list[np.ndarray](), layer_precision(task.program), 0
    for config, artifact in zip(configs, builders.ahead(task, configs), strict=True):
        if artifact.status is not Status.OK:
            assert "simulated GPU" not in artifact.error
            continue
        outputs = runner.outputs(task, artifact)
        assert isinstance(outputs, list), (task.name, config, outputs)
        reference = reference or on_cpu(task, outputs)
        assert differences(outputs, reference, precision)[2], (task.name, config)
        found += 1
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_generated_cuda_computes_what_the_layer_does(tools: Tools, name: str) -> None:
    for task in tasks(name):
        sketches = len(Program.loads(task.program).sketches)
        assert right(tools, task, varied(task, CONFIGS)[: CONFIGS * sketches])


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "tf32"])
@pytest.mark.parametrize("name", SHORT)
def test_short_floats_are_right(tools: Tools, name: str, precision: str) -> None:
    for task in tasks(name, precision=precision):
        sketches = len(Program.loads(task.program).sketches)
        assert right(tools, task, (DEFAULT, *varied(task, 1)[:sketches]))


@pytest.mark.parametrize("name", WINOGRAD)
def test_default_schedules_compute_what_winograd_does(tools: Tools, name: str) -> None:
    """They are what candidates are compared with, and DLight's first rule fails on them."""
    (task,) = tasks(name)
    assert right(tools, task, [DEFAULT])
