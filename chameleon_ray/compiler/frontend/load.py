"""Imports any model that a specification names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from chameleon_ray.compiler.frontend import zoo
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError, name_all
from chameleon_ray.compiler.frontend.model import Model, reason
from chameleon_ray.errors import UserError
from chameleon_ray.measure.scratch import outside
from chameleon_ray.measure.surroundings import restored
from chameleon_ray.plugins import choices, find

__all__ = ["InputSpec", "Model", "ModelError", "load"]

ZOO, CALL = ":zoo", ":call"
"""Sources of models that are no files; no suffix has a colon."""
FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""Pattern of ``package.module:factory``."""
SCRIPT = re.compile(r"(.+\.py):([A-Za-z_][\w.]*)")
"""Pattern of a factory in a file, which has to be named by its module."""
Importer = Callable[[Path, Sequence[InputSpec], int], Model]
"""Imports a model, given a file's path, the user's inputs, and the seed of example inputs."""


def _onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    from chameleon_ray.compiler.frontend.onnx.onnx_file import load_onnx  # no torch

    return load_onnx(path, inputs, seed)


def _program(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    from chameleon_ray.compiler.frontend.torch.torch_module import load_program

    return load_program(path, inputs, seed)


FORMATS: dict[str, Importer] = {"onnx": _onnx, "pt2": _program}
"""Importers of files, by suffix; plug-ins may have others."""


def load(spec: str, inputs: Sequence[InputSpec] = (), seed: int = 0) -> Model:
    """Imports a model.

    Args:
        spec: Zoo name, ``.onnx`` file, torch ``.pt2`` exported program, file of a format that a
            plug-in reads, or ``package.module:factory``. The factory takes no arguments. It returns
            a ``torch.nn.Module``, or one and a tuple of example inputs.
        inputs: Shapes where the model leaves them open, or other ones than the zoo's.
        seed: Seed of the zoo's weights, of a factory's, and of the example inputs.

    Raises:
        ModelError: The model cannot be found, read or translated, or the inputs do not fit it.
        UserError: A plug-in for such files cannot be used.
    """
    try:
        with restored():  # all of a user's own code runs in here
            return _loaded(spec, inputs, seed)
    except Exception as error:
        lack = _lack_of_memory(error)
        if not lack:
            raise
        raise ModelError(
            f"{spec} needs more memory than there is ({lack}); give smaller inputs or a smaller "
            "model, or free memory."
        ) from error


def _lack_of_memory(error: BaseException | None) -> str:
    """Returns what numpy or torch say of memory that they lack; empty where they do not."""
    while error is not None:
        if isinstance(error, MemoryError):
            return str(error).strip().rstrip(".") or "it could not be allocated"
        if type(error) is RuntimeError:
            asked = re.search(r"you tried to allocate (\d+) bytes", str(error))
            if asked is not None:
                return f"{int(asked[1]) >> 20} MiB could not be allocated"
        error = error.__cause__
    return ""


def _loaded(spec: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    source = _source(spec)
    if source == ZOO:
        from chameleon_ray.compiler.frontend.torch.torch_module import load_zoo

        return load_zoo(spec, inputs, seed)
    if source == CALL:
        from chameleon_ray.compiler.frontend.torch.torch_module import load_factory

        return load_factory(spec, inputs, seed)
    plugin = find("format", source, FORMATS)
    if plugin is not None:
        with outside():
            return plugged(plugin, existing(spec), inputs, seed)
    return FORMATS[source](existing(spec), inputs, seed)


def demand(spec: str, inputs: Sequence[InputSpec] = ()) -> None:
    """Checks that there is such a model, and its inputs, as far as that needs no import.

    Args:
        spec: The model, as for ``load``.
        inputs: Inputs that the user gave. Their names are checked for models of the zoo and ONNX
            files; what other models are called with is known only after their import.

    Raises:
        ModelError: There is no such model, or no such input.
    """
    source = _source(spec)
    if source == ZOO:
        name_all(inputs, list(zoo.inputs(spec) or ()), spec)
    elif source != CALL:
        path = existing(spec)
        if inputs and source == "onnx" and find("format", source, FORMATS) is None:
            from chameleon_ray.compiler.frontend.onnx.declared import demand_names

            demand_names(path, inputs)


def is_call(spec: str) -> bool:
    """Whether a model is what a function of the user's makes."""
    return _source(spec) == CALL


def _source(spec: str) -> str:
    """Returns where a model comes from: ``ZOO``, ``CALL``, or the suffix of its file.

    Raises:
        ModelError: There is no such model.
    """
    suffix = Path(spec).suffix.lower().removeprefix(".")
    script = SCRIPT.fullmatch(spec)
    if script is not None and (file := Path(script[1])).is_file() and file.stem.isidentifier():
        raise ModelError(
            f"{spec} names a file; give its module, {file.stem}:{script[2]}, from the folder "
            f"{file.resolve().parent}."
        )
    if suffix not in FORMATS:
        if zoo.inputs(spec) is not None:
            return ZOO
        if FACTORY.fullmatch(spec):
            return CALL
    if suffix in FORMATS or find("format", suffix, FORMATS) is not None:
        return suffix
    raise ModelError(
        f"There is no model {spec!r}; give a name of the zoo ({', '.join(zoo.NAMES)}), "
        f"a file of a known format ({choices('format', FORMATS)}), or package.module:factory."
    )


def plugged(importer: Importer, path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a model with a plug-in.

    Raises:
        UserError: The plug-in refuses the file, or fails on it.
    """
    try:
        model: object = importer(path, inputs, seed)
    except UserError:
        raise
    except Exception as error:
        raise ModelError(
            f"The plug-in for {path.suffix} files failed on {path} ({type(error).__name__}: "
            f"{reason(error)}); correct the file, or tell the plug-in's authors."
        ) from error
    if not isinstance(model, Model):
        raise ModelError(
            f"The plug-in for {path.suffix} files made a {type(model).__name__} of {path}, not a "
            "Model; tell the plug-in's authors."
        )
    from chameleon_ray.compiler.frontend.naming import named

    return dataclasses.replace(model, module=named(model.module, {}))


def existing(spec: str) -> Path:
    """Returns the path of a file that exists.

    Raises:
        ModelError: There is no such file.
    """
    path = Path(spec)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no file"
        what = what if path.exists() else "does not exist"
        raise ModelError(f"The model file {path} {what}; check the path.")
    return path
