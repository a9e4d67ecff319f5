"""Example inputs that the user gives as NumPy files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError

Arrays = Mapping[str, np.ndarray]


def read(texts: Sequence[str]) -> Arrays:
    """Reads example inputs, by name.

    Args:
        texts: ``FILE.npz`` with an array for each input, or ``NAME=FILE.npy``.

    Raises:
        ModelError: A file cannot be read, or an input is given twice.
    """
    arrays: dict[str, np.ndarray] = {}
    for text in texts:
        for name, array in _read(text).items():
            if name in arrays:
                raise ModelError(f"The example of the input {name!r} is given twice; give it once.")
            arrays[name] = array
    return arrays


def _read(text: str) -> Arrays:
    name, equals, file = text.partition("=")
    suffix = Path(text).suffix.lower()
    if suffix not in (".npz", ".npy") or (suffix == ".npy") != bool(equals and name):
        raise ModelError(
            f"The example {text!r} is neither FILE.npz nor NAME=FILE.npy; write the inputs with "
            "numpy.savez(FILE, NAME=array, ...)."
        )
    path = Path(file if suffix == ".npy" else text)
    try:
        content = np.load(path, allow_pickle=False)
        return {name: content} if suffix == ".npy" else dict(content)
    except OSError as error:
        raise ModelError(
            f"The example {path} cannot be read ({error.strerror or 'it is no NumPy file'}); check "
            "the path."
        ) from error
    except MemoryError as error:
        raise ModelError(
            f"The example {path} declares more values than there is memory for; write smaller ones."
        ) from error
    except (ValueError, EOFError, BadZipFile) as error:
        raise ModelError(
            f"The example {path} is no file of plain NumPy arrays; write it with numpy.save or "
            "numpy.savez."
        ) from error


def given(inputs: Sequence[str], examples: Sequence[str]) -> tuple[InputSpec, ...]:
    """Returns the inputs that the user gave, with the values of the examples.

    Args:
        inputs: Inputs as ``NAME:SHAPE[:DTYPE]`` or ``NAME=VALUE``.
        examples: Example inputs as ``FILE.npz`` or ``NAME=FILE.npy``; their shapes need not be
            given.

    Raises:
        ModelError: Something is not of that form, cannot be read, or contradicts the rest.
    """
    specs = {spec.name: spec for spec in map(InputSpec.parse, inputs)}
    if len(specs) < len(inputs):
        raise ModelError("An input is given twice with --input; give it once.")
    for name, array in read(examples).items():
        spec = specs.get(name)
        if spec is not None and (spec.fixed or spec.shape != array.shape):
            raise ModelError(
                f"The example of the input {name!r} has the shape {_text(array.shape)}, and "
                f"--input says {spec}; leave one of them out."
            )
        if array.size == 0:
            raise ModelError(f"The example of the input {name!r} is empty; give it some values.")
        specs[name] = InputSpec(name, array.shape, spec.dtype if spec else "", array)
    return tuple(specs.values())


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "of a scalar"
