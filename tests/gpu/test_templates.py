"""Every schedule of the CUDA templates, and of tensor cores' sketches, is right on a GPU."""

import numpy as np
import pytest

from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.record import Status
from tests.gpu.conftest import Tools
from tests.gpu.test_kernels import on_cpu
from tests.tvm.test_cuda_space import tasks, varied

SKETCHES = {
    "3x3": 2,
    "depthwise": 1,
    "Winograd": 2,
    "dense, long sums": 2,
    "batched products": 2,
    "half convolution": 2,
    "half depthwise": 1,
    "half product": 2,
}
"""Layers, and how many schedules each has."""
WITHOUT = ("half convolution", "half product")
"""Layers of which MetaSchedule's sketches are tried, not the template."""


@pytest.mark.parametrize("name", SKETCHES)
def test_every_schedule_is_right(tools: Tools, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    builders, runner = tools
    if name in WITHOUT:
        monkeypatch.setitem(TEMPLATES, "cuda", ())
    one = max(tasks.__wrapped__(name, "sm_90"), key=lambda task: task.flop)
    sketches = len(Program.loads(one.program).sketches)
    assert sketches == SKETCHES[name]
    configs = varied(one, 1)
    for config, artifact in zip(configs, builders.ahead(one, configs), strict=True):
        assert artifact.status is Status.OK, (config, artifact.error)
        outputs = runner.outputs(one, artifact)
        assert isinstance(outputs, list), outputs
        assert difference(outputs[-1], on_cpu(one, outputs)[-1])[2], config


def test_slices_are_added_up_in_the_same_order_each_time(
    tools: Tools,
) -> None:
    """The kernel that adds up is the second one, and atomics are none."""
    builder, runner = tools
    (one,) = tasks("dense, long sums", "sm_90")
    config = next(config for config in varied(one, 1) if config[0] == 1)
    artifact = builder.build(one, config)
    assert '"kernels": 2' in artifact.resources
    first, second = (runner.outputs(one, artifact) for _ in range(2))
    assert isinstance(first, list)
    assert isinstance(second, list)
    np.testing.assert_array_equal(first[-1], second[-1])
