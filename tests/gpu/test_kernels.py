"""What is generated for GPUs computes what the layer does: all templates, sketches and precisions.

Layers are built, and run on a simulated GPU, by the builders and runners of the project. The
reference is the layer's own loops, which LLVM compiles for the CPU.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

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


def right(tools: Tools, task: Task, configs: Sequence[tuple[int, ...]]) -> None:
    """Demands that configurations that compile are right, and that one of each sketch does."""
    builders, runner = tools
    reference, precision, found = list[np.ndarray](), layer_precision(task.program), set[str]()
    errors: dict[str, str] = {}
    for config, artifact in zip(configs, builders.ahead(task, configs), strict=True):
        if artifact.status is not Status.OK:
            assert "simulated GPU" not in artifact.error
            errors[sketch_of(task, config)] = artifact.error
            continue
        outputs = runner.outputs(task, artifact)
        assert isinstance(outputs, list), (task.name, config, outputs)
        reference = reference or on_cpu(task, outputs)
        assert differences(outputs, reference, precision)[2], (task.name, config)
        found.add(sketch_of(task, config))
    wanted = {sketch_of(task, config) for config in configs}
    if set(configs) - {DEFAULT}:  # also a sketch of which none is drawn
        wanted |= {f"sketch {n}" for n in range(len(Program.loads(task.program).sketches))}
    broken = {one: errors.get(one, "not drawn") for one in wanted - found}
    assert not broken, f"{task.name}: no configuration compiles of {broken}"


def sketch_of(task: Task, config: tuple[int, ...]) -> str:
    """Names the sketch of a configuration."""
    if config == DEFAULT:
        return "the default schedule"
    return f"sketch {config[0] if len(Program.loads(task.program).sketches) > 1 else 0}"


@pytest.mark.parametrize("name", LAYERS)
def test_generated_cuda_computes_what_the_layer_does(tools: Tools, name: str) -> None:
    for task in tasks(name):
        sketches = len(Program.loads(task.program).sketches)
        right(tools, task, varied(task, CONFIGS)[: CONFIGS * sketches])


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "tf32"])
@pytest.mark.parametrize("name", SHORT)
def test_short_floats_are_right(tools: Tools, name: str, precision: str) -> None:
    for task in tasks(name, precision=precision):
        sketches = len(Program.loads(task.program).sketches)
        right(tools, task, (DEFAULT, *varied(task, 1)[:sketches]))


def test_a_sketch_that_never_compiles_is_named(tools: Tools) -> None:
    """The second of three sketches has an instruction that TVM does not know."""
    (task,) = tasks("dense")
    program = Program.loads(task.program)
    first, second, third = program.sketches
    unknown = [["Unknown", [], [], []], *second.instructions[1:]]
    program.sketches = (first, replace(second, instructions=unknown), third)
    with pytest.raises(AssertionError, match="'sketch 1': "):
        right(tools, replace(task, program=program.dumps()), varied(task, 1))


@pytest.mark.parametrize("name", WINOGRAD)
def test_default_schedules_compute_what_winograd_does(tools: Tools, name: str) -> None:
    """They are what candidates are compared with, and DLight's first rule fails on them."""
    (task,) = tasks(name)
    right(tools, task, [DEFAULT])
