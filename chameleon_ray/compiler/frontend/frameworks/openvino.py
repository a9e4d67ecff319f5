"""OpenVINO, which runs what ONNX Runtime runs, on CPUs."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import openvino
from openvino import properties

from chameleon_ray.compiler.frontend.frameworks.exported import exported
from chameleon_ray.compiler.frontend.frameworks.onnx_runtime import fed
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.measure.frameworks import Runnable


def load(source: Source) -> Runnable:
    """Loads a model into the CPU plug-in, for the least latency of one request, in float32.

    Left alone, it would compute in bfloat16 where the CPU can.

    Raises:
        ModelError: The model is for a GPU, or torch cannot export it.
    """
    if source.gpu:
        raise ModelError("it is compared on CPUs only")
    core = openvino.Core()
    config = {
        properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
        properties.hint.inference_precision: openvino.Type.f32,
        properties.inference_num_threads: source.threads,
    }
    with TemporaryDirectory(prefix="chameleon-") as folder:
        path = exported(source, Path(folder, "model.onnx"))
        known = core.read_model(path)

    def compiled() -> Callable[[], Any]:
        # a compiled model has one stream, in which its requests wait for each other
        model = core.compile_model(known, "CPU", config)
        inputs = fed([one.any_name for one in model.inputs], source)
        request = model.create_infer_request()
        return lambda: request.infer(inputs, share_inputs=True, share_outputs=True)

    return Runnable(
        compiled(),
        lambda outputs: tuple(np.array(array) for array in outputs.values()),
        str(openvino.__version__),
        compiled,
    )
