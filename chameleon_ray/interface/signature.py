"""The signature of a compiled model: which arrays it takes, by name, shape and type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon_ray.errors import UserError


class CallError(UserError):
    """A call that does not fit a model, in one sentence."""


@dataclass(frozen=True)
class Array:
    """An input or output of a model.

    Attributes:
        name: The model's name for it; may be empty.
        shape: Its extents; ``()`` is a scalar.
        dtype: Its type, such as ``float32``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        extents = "x".join(map(str, self.shape)) or "scalar"
        return f"{self.name}: {extents} {self.dtype}".removeprefix(": ")


@dataclass(frozen=True)
class Signature:
    """The inputs of a model in order, and how calls are compared with them."""

    inputs: tuple[Array, ...]

    def bound(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """Returns a call's arrays in the order of the inputs.

        Numbers and lists become arrays of the input's type.

        Args:
            args: The first inputs, in order.
            named: The others, by name.

        Raises:
            CallError: There are too many or too few, or one has another shape or type.
        """
        if named or len(args) != len(self.inputs):
            args = self._ordered(args, named)
        return [self._fitting(*pair) for pair in zip(self.inputs, args, strict=True)]

    def arrays(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """Returns a call's arrays in the order of the inputs, of whatever shapes and types.

        Raises:
            CallError: There are too many or too few.
        """
        if named or len(args) != len(self.inputs):
            args = self._ordered(args, named)
        return [_array(*pair) for pair in zip(self.inputs, args, strict=True)]

    def _ordered(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        left = [one.name for one in self.inputs[len(args) :]]
        if len(args) > len(self.inputs):
            raise CallError(f"{len(args)} inputs were given; {self._expected}.")
        for name in named:
            if name not in left:
                twice = name in [one.name for one in self.inputs]
                fault = "was given twice" if twice else "is no input"
                raise CallError(f"{name!r} {fault}; {self._expected}.")
        if missing := [name for name in left if name not in named]:
            raise CallError(f"The input {missing[0]!r} is missing; {self._expected}.")
        return [*args, *(named[name] for name in left)]

    def _fitting(self, wanted: Array, value: Any) -> Any:
        value = _array(wanted, value)
        dtype = str(value.dtype).removeprefix("torch.")
        if tuple(value.shape) != wanted.shape or dtype != wanted.dtype:
            given = Array("", tuple(value.shape), dtype)
            expected = Array("", wanted.shape, wanted.dtype)
            raise CallError(f"{_called(wanted)} is {given}, but the model takes {expected}.")
        return value

    @property
    def _expected(self) -> str:
        return f"the model takes {', '.join(map(str, self.inputs)) or 'nothing'}"


def _array(wanted: Array, value: Any) -> Any:
    """Returns what is an array already as it is, and else an array of the input's type."""
    if hasattr(value, "__dlpack__"):
        return value
    try:
        return np.asarray(value, wanted.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise CallError(f"{_called(wanted)} cannot be made of {value!r:.60}.") from error


def _called(wanted: Array) -> str:
    return f"The input {wanted.name!r}" if wanted.name else "The input"
