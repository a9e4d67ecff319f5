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
    except (ValueError, EOFError, BadZipFile) as error:
        raise ModelError(
            f"The example {path} is no file of plain NumPy arrays; write it with numpy.save or "
            "numpy.savez."
        ) from error


def shapes(arrays: Arrays, inputs: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """Returns the inputs that the user gave, and those that follow from the examples' shapes.

    Raises:
        ModelError: Two shapes of an input differ, or an example is empty.
    """
    given = {spec.name: spec for spec in inputs}
    for name, array in arrays.items():
        spec = given.get(name)
        if spec is not None and spec.shape != array.shape:
            raise ModelError(
                f"The example of the input {name!r} has the shape {_text(array.shape)}, and "
                f"--input says {_text(spec.shape)}; leave one of them out."
            )
        if 0 in array.shape:
            raise ModelError(
                f"The example of the input {name!r} is empty; give at least one value."
            )
    return (*inputs, *(InputSpec(n, a.shape) for n, a in arrays.items() if n not in given))


def typed(arrays: Arrays, specs: Sequence[InputSpec]) -> Arrays:
    """Returns the examples in the types of the model's inputs.

    Floats may be rounded to a narrower type; any other change of a value is refused.

    Raises:
        ModelError: An example is of another type than its input.
    """
    cast = {}
    for spec in specs:
        array = arrays.get(spec.name)
        if array is None:
            continue
        cast[spec.name] = array.astype(spec.dtype)
        floats = array.dtype.kind == "f" and spec.dtype.startswith(("float", "bfloat"))
        if not floats and not np.array_equal(cast[spec.name], array):
            raise ModelError(
                f"The example of the input {spec.name!r} is of type {array.dtype}, and the model "
                f"wants {spec.dtype}; save it as {spec.dtype}."
            )
    return cast


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "of a scalar"
