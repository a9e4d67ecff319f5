"""ONNX Runtime, which runs ONNX files, and torch models that torch can export."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime

from chameleon_ray.compiler.frontend.frameworks.exported import exported
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.onnx.declared import fix
from chameleon_ray.measure.frameworks import Runnable

PROVIDERS = {False: "CPUExecutionProvider", True: "CUDAExecutionProvider"}
"""Provider that runs models, by whether they are for a GPU."""


def load(source: Source) -> Runnable:
    """Loads a model with all of ONNX Runtime's optimisations, which it has by default.

    Raises:
        ModelError: ONNX Runtime has nothing for GPUs here, or torch cannot export the model.
    """
    if PROVIDERS[source.gpu] not in onnxruntime.get_available_providers():
        raise ModelError(f"onnxruntime {onnxruntime.__version__} is without CUDA")
    with TemporaryDirectory(prefix="chameleon-") as folder:
        path = exported(source, Path(folder, "model.onnx"))
        made = session(path, source)
    feed = fed([one.name for one in made.get_inputs()], source)
    return Runnable(lambda: made.run(None, feed), _arrays, onnxruntime.__version__)


def session(path: Path, source: Source, profile: Path | None = None) -> Any:
    """Loads a file; what each execution does is written to files that begin with ``profile``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = source.threads, 1
    options.log_severity_level = 4
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return onnxruntime.InferenceSession(str(path), options, providers=[PROVIDERS[source.gpu]])


def fed(declared: Sequence[str], source: Source) -> dict[str, np.ndarray]:
    """Returns a file's inputs by their names, with those that the user fixed.

    Args:
        declared: Names of the file's inputs, in order.
        source: The model, with values of the others.

    Raises:
        ModelError: There are more inputs, or fewer.
    """
    fixed = _fixed(source) if source.is_onnx else {}
    names = [name for name in declared if name not in fixed]
    if len(names) != len(source.arrays):
        raise ModelError(f"the exported model has {len(names)} inputs, not {len(source.arrays)}")
    return {**dict(zip(names, source.arrays, strict=True)), **fixed}


def _fixed(source: Source) -> dict[str, np.ndarray]:
    graph = onnx.load(source.model, load_external_data=False).graph
    return fix(graph, source.given, source.model)[1]


def _arrays(outputs: list[Any]) -> tuple[np.ndarray, ...]:
    return tuple(map(np.asarray, outputs))
