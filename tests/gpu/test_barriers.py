"""Barriers of kernels in which all threads along an axis load what one of them has stored."""

import pytest

from chameleon_ray.compiler.codegen.barriers import with_barriers
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.layer_precision import layer_precision
from chameleon_ray.compiler.runtime.tolerance import differences
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.record import Status
from chameleon_ray.task import Task
from tests.gpu.test_kernels import Tools, on_cpu, tools  # noqa: F401
from tests.tvm.test_cuda_space import tasks

TILES = {
    "tile0.0": (1, 16, 2, 2),
    "tile0.1": (1, 1, 7, 1),
    "tile0.2": (1, 1, 10, 1),
    "tile0.3": (8, 1),
    "tile0.4": (3, 1),
    "tile0.5": (3, 1),
    "tile1.0": (8, 1, 1),
}
"""Half of 140 threads fetch the input's 70 elements, and two threads load each."""
BARRIER = 'T.tvm_storage_sync("shared")'


def config_of(task: Task, sketch: int) -> tuple[int, ...]:
    """The configuration with these tiles, and with the first choice of all else."""
    return tuple(
        knob.choices.index(
            TILES.get(knob.name, sketch if knob.name == "sketch" else knob.choices[0])
        )
        for knob in task.space.knobs
    )


@pytest.mark.parametrize("sketch", [0, 1])
def test_a_step_waits_until_the_last_one_was_read(tools: Tools, sketch: int) -> None:  # noqa: F811
    builder, runner = tools
    (task,) = tasks("bias and relu")
    artifact = builder.build(task, config_of(task, sketch))
    assert artifact.status is Status.OK, artifact.error
    outputs = runner.outputs(task, artifact)
    assert isinstance(outputs, list), outputs
    assert differences(outputs, on_cpu(task, outputs), layer_precision(task.program))[2]


def test_there_is_one_barrier_before_a_fetch_and_one_after_it() -> None:
    (task,) = tasks("bias and relu")
    program = Program.loads(task.program)
    module = program.schedule(config_of(task, 0), CUDA.generator).mod
    lines = [line.strip() for line in with_barriers(module).script().splitlines()]
    first, second = (number for number, line in enumerate(lines) if line == BARRIER)
    blocks = [n for n, line in enumerate(lines) if line.startswith("with T.sblock(")]
    between = [lines[n] for n in blocks if first < n < second]
    assert between == ['with T.sblock("x_shared"):', 'with T.sblock("param_0_shared"):']
    assert BARRIER not in program.module.script()
    assert with_barriers(program.module).script() == program.module.script()
