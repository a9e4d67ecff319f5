"""A model's inputs: what the model declares and the user gives, joined to static shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
        values: Values that the user gave for it; None where they are to be drawn.
        fixed: Whether the values are part of the model from now on, and no input any more.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = ""
    values: np.ndarray | None = field(default=None, compare=False)
    fixed: bool = False

    @classmethod
    def parse(cls, text: str) -> InputSpec:
        """Parses ``NAME:SHAPE[:DTYPE]`` or ``NAME=VALUE``.

        Examples are ``x:1,3,224,224``, ``ids:1x128:int64`` and ``axes=[2,3]``. A name may have
        colons; an empty shape is a scalar.

        Raises:
            ModelError: The text is not of that form.
        """
        if "=" in text:
            return cls._fixed(text)
        parts = text.strip().split(":")
        dtype = parts.pop() if len(parts) > 2 and parts[-1] in DTYPES else ""
        shape = parts.pop() if len(parts) > 1 else "none"
        name = ":".join(parts)
        if "{" in shape:
            raise ModelError(
                f"The input {text!r} lists buckets, which are for chameleon tune alone, without "
                "--build-only; give one shape."
            )
        if not name or not re.fullmatch(r"(\d+([,x]\d+)*)?", shape):
            raise ModelError(
                f"The input {text!r} is not NAME:SHAPE[:DTYPE]; write it like x:1,3,224,224 or "
                f"ids:1,128:int64, with a type of {', '.join(DTYPES)}."
            )
        extents = tuple(int(size) for size in re.findall(r"\d+", shape))
        if 0 in extents:
            raise ModelError(f"The input {text!r} has an extent of 0; give at least 1.")
        return cls(name, extents, dtype)

    @classmethod
    def _fixed(cls, text: str) -> InputSpec:
        name, _, written = text.strip().partition("=")
        try:
            values = np.asarray(json.loads(written))
        except ValueError:  # no JSON, or lists of unequal length
            values = np.asarray(None)
        if not name or values.dtype.kind not in "bif":
            raise ModelError(
                f"The input {text!r} is not NAME=VALUE; write a number, true, false or a list of "
                "them, like rate=16000 or axes=[2,3]."
            )
        return cls(name, values.shape, "", values, True)

    def __str__(self) -> str:
        if self.fixed and self.values is not None:
            return f"{self.name}={json.dumps(self.values.tolist())}"
        suffix = f":{self.dtype}" if self.dtype else ""
        return f"{self.name}:{','.join(map(str, self.shape))}{suffix}"

    def typed(self, dtype: str) -> InputSpec:
        """Returns the input with a type, and its values cast to it.

        Floats may be rounded to a narrower type; any other change of a value is refused.

        Raises:
            ModelError: The values are none of that type.
        """
        if self.values is None:
            return replace(self, dtype=dtype)
        cast = self.values.astype(dtype)
        floats = self.values.dtype.kind == "f" and dtype.startswith(("float", "bfloat"))
        if not floats and not np.array_equal(cast, self.values):
            raise ModelError(
                f"The values of the input {self.name!r} are of type {self.values.dtype}, and the "
                f"model wants {dtype}; give them as {dtype}."
            )
        return replace(self, dtype=dtype, values=cast)


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
        return given.typed(self.dtype)

    def close(self, model: str) -> InputSpec:
        """Returns the input as it is declared.

        Raises:
            ModelError: The input has open extents.
        """
        unknown = [size for size in self.shape if isinstance(size, str)]
        if unknown:
            example = ",".join("1" if isinstance(size, str) else str(size) for size in self.shape)
            wrong = [size for size in unknown if re.fullmatch(r"-?\d+", size)]
            what = f"has extents below 1 ({', '.join(wrong)})" if wrong else "has open dimensions"
            what += "" if wrong else f" ({', '.join(unknown)})"
            raise ModelError(
                f"The input {self.name!r} of {model} {what}; "
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
        ModelError: A name is given twice, is not one of the model's, or is one whose values cannot
            be fixed.
    """
    by_name: dict[str, InputSpec] = {}
    for spec in given:
        if spec.fixed:
            raise ModelError(
                f"The input {spec.name!r} of {model} cannot be fixed to a value, which only ONNX "
                "files allow; fix it in the model itself."
            )
        if spec.name in by_name:
            raise ModelError(f"The input {spec.name!r} of {model} is given twice; give it once.")
        if spec.name not in names:
            listed = ", ".join(names) or "none"
            told = f" Say --input {names[0]}:SHAPE." if len(names) == 1 else ""
            raise ModelError(f"{model} has no input {spec.name!r}; its inputs are: {listed}.{told}")
        by_name[spec.name] = spec
    return by_name
