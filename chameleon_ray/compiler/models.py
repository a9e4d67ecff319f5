"""A model specification in; a Relax module, example inputs and the outputs to expect out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chameleon_ray.compiler import zoo
from chameleon_ray.compiler.inputs import InputSpec, ModelError

if TYPE_CHECKING:
    from tvm.ir import IRModule

__all__ = ["InputSpec", "Model", "ModelError", "load"]

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""``package.module:factory``."""


@dataclass(frozen=True, eq=False)
class Model:
    """An imported model.

    Attributes:
        name: For people and file names.
        module: Relax module whose ``main`` takes ``inputs`` in order; weights are constants.
        inputs: All with a static shape and a type.
        digest: Of structure and weights (16 hex digits).
        examples: One array per input, the same for the same seed.
        reference: What the source framework gives for them, one array per output; None where it
            could not be run.
        reference_name: ``torch``, ``onnxruntime``, or None.
    """

    name: str
    module: IRModule
    inputs: tuple[InputSpec, ...]
    digest: str
    examples: tuple[np.ndarray, ...]
    reference: tuple[np.ndarray, ...] | None
    reference_name: str | None


def load(spec: str, inputs: Sequence[InputSpec] = (), seed: int = 0) -> Model:
    """Imports a model.

    Args:
        spec: Zoo name, ``.onnx`` file, torch ``.pt2`` exported program, or
            ``package.module:factory``. The factory takes no arguments and returns a
            ``torch.nn.Module``, or it and a tuple of example inputs.
        inputs: Shapes where the model leaves them open, or other ones than the zoo's.
        seed: Of the zoo's weights, of a factory's, and of the example inputs.

    Raises:
        ModelError: It cannot be found, read or translated, or the inputs do not fit it.
    """
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        from chameleon_ray.compiler.onnx_model import load_onnx

        return load_onnx(existing(spec), inputs, seed)
    of_zoo = zoo.inputs(spec) is not None
    if of_zoo or suffix == ".pt2" or FACTORY.fullmatch(spec):
        from chameleon_ray.compiler import torch_model

        if of_zoo:
            return torch_model.load_zoo(spec, inputs, seed)
        if suffix == ".pt2":
            return torch_model.load_program(existing(spec), inputs, seed)
        return torch_model.load_factory(spec, inputs, seed)
    raise ModelError(
        f"There is no model {spec!r}; give a name of the zoo ({', '.join(zoo.NAMES)}), "
        "an .onnx file, a torch .pt2 file, or package.module:factory."
    )


def existing(spec: str) -> Path:
    """The file of that name.

    Raises:
        ModelError: There is none.
    """
    path = Path(spec)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"The model file {path} {what}; check the path.")
    return path


def digest(module: IRModule) -> str:
    """Names a module by structure and weights (16 hex digits)."""
    import tvm_ffi

    return f"{tvm_ffi.structural_hash(module) % (1 << 64):016x}"


def reason(error: Exception) -> str:
    """The last line of an error's message, where TVM and torch say what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if len(lines) == 1 else next(iter(reversed(lines)), type(error).__name__)
    return text.rstrip(".")[:300]
