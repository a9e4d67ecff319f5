"""Torch models as ONNX files, for the frameworks that run these."""

from pathlib import Path
from typing import Any

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.quiet import quiet


def exported(source: Source, path: Path) -> Path:
    """Returns the file of an ONNX model, or exports torch's to ``path``.

    Raises:
        ModelError: torch cannot export the model; the text says why.
    """
    if source.is_onnx:
        return Path(source.model)
    fault = ""
    for options in (TRACED, TRANSLATED):
        try:
            with quiet():
                _write(source, path, options)
        except ModelError:
            raise
        except ModuleNotFoundError as error:
            fault = f"its export to ONNX needs {error.name}, which is not installed"
        except Exception as error:
            fault = f"torch cannot export it to ONNX ({reason(error)})"
        else:
            return path
    raise ModelError(fault)


TRACED = {"dynamo": False}
"""Options that trace a model: in a fifth of the time, and without further packages."""
TRANSLATED = {"dynamo": True, "external_data": False, "verbose": False}
"""Options that export a model as newer torch does by default, with onnxscript."""


def _write(source: Source, path: Path, options: dict[str, Any]) -> None:
    import torch

    from chameleon_ray.compiler.frontend.torch.original import OfTensors, original

    module, call = original(source.model, source.given, source.seed, source.arrays)
    preserve = torch.onnx.TrainingMode.PRESERVE  # the module is in inference mode
    whole = OfTensors(module, call)
    torch.onnx.export(whole, call.tensors(), str(path), training=preserve, **options)
