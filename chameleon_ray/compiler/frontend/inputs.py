"""A model's inputs: what the model declares and the user gives, joined to static shapes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chameleon_ray.errors import UserError

DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
"""Element types that an input may have."""


class ModelError(UserError):
    """A model that cannot be used, in one sentence: what, where, and what to do."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: The model's name for it.
        shape: Its extents; ``()`` is a scalar.
        dtype: Its element type, one of ``DTYPES``; empty where the model is to say.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = ""

    @classmethod
    def parse(cls, text: str) -> InputSpec:
        """Parses ``NAME:SHAPE[:DTYPE]``, such as ``x:1,3,224,224`` or ``ids:1x128:int64``.

        The name itself may have colons; an empty shape is a scalar.

        Raises:
            ModelError: The text is not of that form.
        """
        parts = text.strip().split(":")
        dtype = parts.pop() if len(parts) > 2 and parts[-1] in DTYPES else ""
        shape = parts.pop() if len(parts) > 1 else "none"
        name = ":".join(parts)
        if not name or not re.fullmatch(r"(\d+([,x]\d+)*)?", shape):
            raise ModelError(
                f"The input {text!r} is not NAME:SHAPE[:DTYPE]; write it like x:1,3,224,224 or "
                f"ids:1,128:int64, with a type of {', '.join(DTYPES)}."
            )
        extents = tuple(int(size) for size in re.findall(r"\d+", shape))
        if 0 in extents:
            raise ModelError(f"The input {text!r} has an extent of 0; give at least 1.")
        return cls(name, extents, dtype)

    def __str__(self) -> str:
        suffix = f":{self.dtype}" if self.dtype else ""
        return f"{self.name}:{','.join(map(str, self.shape))}{suffix}"

    def example(self, rng: np.random.Generator) -> np.ndarray:
        """Draws an example of the input.

        Floats are normal. Other types are zeros and ones, which are valid indices anywhere.
        """
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            return np.asarray(rng.standard_normal(self.shape), dtype)
        return np.asarray(rng.integers(0, 2, self.shape), dtype)


@dataclass(frozen=True)
class Declared:
    """A model's declaration of one input: an ``InputSpec`` with texts for open extents."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def fix(self, given: InputSpec, model: str) -> InputSpec:
        """Returns the input with the shape that the user gave and the model's type.

        Raises:
            ModelError: The two contradict each other.
        """
        fits = len(self.shape) == len(given.shape) and all(
            isinstance(own, str) or own == size
            for own, size in zip(self.shape, given.shape, strict=True)
        )
        if not fits or given.dtype not in ("", self.dtype):
            shape = ",".join(map(str, self.shape))
            raise ModelError(
                f"The input {given} does not fit {model}, which declares "
                f"{self.name}:{shape}:{self.dtype}; correct it or export the model again."
            )
        return InputSpec(self.name, given.shape, self.dtype)

    def close(self, model: str) -> InputSpec:
        """Returns the input as it is declared.

        Raises:
            ModelError: The input has open extents.
        """
        unknown = [size for size in self.shape if isinstance(size, str)]
        if unknown:
            example = ",".join("1" if isinstance(size, str) else str(size) for size in self.shape)
            raise ModelError(
                f"The input {self.name!r} of {model} has open dimensions ({', '.join(unknown)}); "
                f"give its shape, such as --input {self.name}:{example}."
            )
        return InputSpec(self.name, tuple(int(size) for size in self.shape), self.dtype)


def close_all(
    declared: Sequence[Declared], given: Sequence[InputSpec], model: str
) -> tuple[InputSpec, ...]:
    """Returns every declared input, in order, with a static shape.

    Args:
        declared: Inputs that the model declares.
        given: Inputs that the user gave; may be fewer.
        model: Name of the model in messages.

    Raises:
        ModelError: A shape stays open, or something given does not fit.
    """
    by_name = name_all(given, [one.name for one in declared], model)
    return tuple(
        one.fix(by_name[one.name], model) if one.name in by_name else one.close(model)
        for one in declared
    )


def name_all(given: Sequence[InputSpec], names: Sequence[str], model: str) -> dict[str, InputSpec]:
    """Maps names to the inputs that the user gave.

    Raises:
        ModelError: A name is given twice, or is not one of the model's.
    """
    by_name: dict[str, InputSpec] = {}
    for spec in given:
        if spec.name in by_name:
            raise ModelError(f"The input {spec.name!r} of {model} is given twice; give it once.")
        if spec.name not in names:
            listed = ", ".join(names) or "none"
            raise ModelError(f"{model} has no input {spec.name!r}; its inputs are: {listed}.")
        by_name[spec.name] = spec
    return by_name
