"""The frameworks of the benchmarks, under the names that recorded figures have for them."""

from chameleon_ray.api.contestants import TUNED, started
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.frameworks import Framework

STARTING = 600.0
"""Most seconds for a framework to load a model; ``max-autotune`` takes minutes."""
RUNTIMES = {
    "this engine": TUNED,
    "ONNX Runtime": "onnxruntime",
    "OpenVINO": "openvino",
    "PyTorch eager": "pytorch",
    "torch.compile": "torch.compile",
    "max-autotune": "max-autotune",
}
"""Names of the frameworks in the package's options, by those of the benchmarks."""


def contestant(name: str, source: Source, tuned: Library) -> Framework:
    """Starts a framework, and waits until the model has run there once.

    Raises:
        FrameworkError: It cannot run the model.
    """
    own = tuned if RUNTIMES[name] == TUNED else None
    framework = started(RUNTIMES[name], source, tuned.kind, available(), own)
    framework.name = name
    try:
        framework.load(STARTING)
    except BaseException:
        framework.close()
        raise
    return framework
