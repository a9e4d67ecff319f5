"""Imports any model that a specification names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from chameleon_ray.compiler.frontend import zoo
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.compiler.frontend.model import Model

__all__ = ["InputSpec", "Model", "ModelError", "load"]

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""Pattern of ``package.module:factory``."""


def load(spec: str, inputs: Sequence[InputSpec] = (), seed: int = 0) -> Model:
    """Imports a model.

    Args:
        spec: Zoo name, ``.onnx`` file, torch ``.pt2`` exported program, or
            ``package.module:factory``. The factory takes no arguments. It returns a
            ``torch.nn.Module``, or one and a tuple of example inputs.
        inputs: Shapes where the model leaves them open, or other ones than the zoo's.
        seed: Seed of the zoo's weights, of a factory's, and of the example inputs.

    Raises:
        ModelError: It cannot be found, read or translated, or the inputs do not fit it.
    """
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        from chameleon_ray.compiler.frontend.onnx_model import load_onnx

        return load_onnx(existing(spec), inputs, seed)
    of_zoo = zoo.inputs(spec) is not None
    if of_zoo or suffix == ".pt2" or FACTORY.fullmatch(spec):
        from chameleon_ray.compiler.frontend import torch_model

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
    """Returns the path of a file that exists.

    Raises:
        ModelError: There is no such file.
    """
    path = Path(spec)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"The model file {path} {what}; check the path.")
    return path
