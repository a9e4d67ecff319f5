"""One operation of an exported torch program, as its converter sees it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from tvm import relax
from tvm.ir import GenericConst

from chameleon_ray.compiler.relax import constant

Constant = Callable[[torch.Tensor], relax.Expr]
"""Makes a Relax constant of a tensor, the same one each time."""


class Untranslatable(Exception):
    """The reason why an operation cannot be translated, and what to do, as a sentence's end."""


@dataclass(frozen=True, eq=False)
class Complex:
    """A tensor of complex numbers, which Relax does not have, as two of real numbers."""

    real: relax.Expr
    imaginary: relax.Expr


@dataclass(frozen=True)
class Output:
    """The type that torch gives an output.

    Attributes:
        shape: Its extents; None where one of them is known at run time only.
        dtype: Its element type as numpy calls it, with ``bfloat16``; or ``complex64`` and so on.
        ndim: The number of its extents.
    """

    shape: tuple[int, ...] | None
    dtype: str
    ndim: int


@dataclass(frozen=True, eq=False)
class Node:
    """An operation, with what it reads.

    Attributes:
        fx: The operation as torch has it, for what torch says of its types.
        arguments: Arguments by name, with the schema's defaults in place of those left out: Relax
            expressions for tensors that are computed, torch tensors for those that are known,
            ``Complex``, Python values, and sequences of these.
        builder: Builder of the Relax function.
        as_constant: Makes a constant of a tensor that is known.
        convert_graph: Converts a graph inside the operation, given its inputs; returns its outputs.
    """

    fx: fx.Node
    arguments: Mapping[str, Any]
    builder: relax.BlockBuilder
    as_constant: Constant
    convert_graph: Callable[[fx.GraphModule, Sequence[Any]], Sequence[Any]]

    def __getitem__(self, name: str) -> Any:
        """Returns an argument as it is."""
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an argument, or the default where it is missing or None."""
        value = self.arguments.get(name)
        return default if value is None else value

    def tensor(self, name: str, dtype: str | None = None) -> relax.Expr:
        """Returns an argument as a tensor, of the type that is asked for.

        Raises:
            Untranslatable: It is a tensor of complex numbers.
        """
        return self.as_tensor(self.arguments[name], dtype)

    def optional(self, name: str, dtype: str | None = None) -> relax.Expr | None:
        """Returns an argument as a tensor; None where it is left out."""
        return None if self.arguments.get(name) is None else self.tensor(name, dtype)

    def as_tensor(self, value: Any, dtype: str | None = None) -> relax.Expr:
        """Returns a value as a tensor, of the type that is asked for; numbers are scalars."""
        if isinstance(value, Complex):
            raise Untranslatable(
                "it would compute with complex numbers; use torch.view_as_real before it"
            )
        if isinstance(value, torch.Tensor):
            value = self.as_constant(value if dtype is None else value.to(torch_dtype(dtype)))
        if isinstance(value, bool | int | float):
            kind = dtype or numpy_dtype(torch.tensor(value).dtype)
            return constant(value, kind)  # type: ignore[arg-type]
        return self.cast(value, dtype)

    def cast(self, value: relax.Expr, dtype: str | None) -> relax.Expr:
        """Returns a value in another type; None leaves it as it is."""
        value = self.emit(value)
        same = dtype is None or str(value.ty.dtype) == dtype
        return value if same else self.emit(relax.op.astype(value, dtype))

    def emit(self, value: relax.Expr) -> relax.Expr:
        """Binds a value to a variable, whose type is known from then on."""
        return value if isinstance(value, relax.Var | GenericConst) else self.builder.emit(value)

    def reshape(self, value: relax.Expr, shape: Sequence[int]) -> relax.Expr:
        """Returns a value in another shape; -1 stands for what is left over."""
        return relax.op.reshape(self.emit(value), list(shape))

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor argument.

        Raises:
            Untranslatable: It is known at run time only.
        """
        return self.shape_of(self.tensor(name))

    def shape_of(self, value: relax.Expr) -> tuple[int, ...]:
        """Returns the shape of a value, which must be static."""
        return static_shape(value)

    def axis(self, name: str = "dim", of: str = "self") -> int:
        """Returns an axis argument, counted from the front."""
        return int(self[name]) % max(self.tensor(of).ty.ndim, 1)

    @property
    def output(self) -> Output:
        """The type of the operation's (first) output."""
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The types of the operation's outputs."""
        value = self.fx.meta["val"]
        return tuple(output_of(one) for one in (value if is_several(value) else (value,)))

    def input_type(self, *names: str) -> str:
        """Returns the type that torch computes in, of some of the arguments together."""
        metas = [self._meta(name) for name in names]
        first, *rest = metas
        found = first.dtype if isinstance(first, torch.Tensor) else torch.tensor(first).dtype
        for other in rest:
            found = torch.result_type(first, other)
        return numpy_dtype(found)

    def _meta(self, name: str) -> Any:
        place = list(self.arguments).index(name)
        given = self.fx.args[place] if place < len(self.fx.args) else self.fx.kwargs.get(name)
        return given.meta["val"] if isinstance(given, fx.Node) else given


Converter = Callable[[Node], Any]
"""Converts an operation to its output; to a sequence where it has several."""


def is_several(value: Any) -> bool:
    """Whether a value is a sequence of outputs."""
    return isinstance(value, tuple | list)


def output_of(value: Any) -> Output:
    """Returns the type of a value, as torch says; numbers are scalars of 64 bits."""
    if not isinstance(value, torch.Tensor):
        kinds = {bool: "bool", torch.SymBool: "bool", int: "int64", torch.SymInt: "int64"}
        return Output((), kinds.get(type(value), "float64"), 0)
    static = all(isinstance(size, int) for size in value.shape)
    shape = tuple(int(size) for size in value.shape) if static else None
    return Output(shape, numpy_dtype(value.dtype), value.ndim)


def static_shape(value: relax.Expr) -> tuple[int, ...]:
    """Returns the shape of a tensor.

    Raises:
        Untranslatable: It is known at run time only.
    """
    shape = value.ty.shape
    sizes: list[Any] = [getattr(size, "value", None) for size in shape or ()]
    if shape is None or None in sizes:
        raise Untranslatable(
            "it reads a tensor whose shape depends on values; pad it to a fixed one"
        )
    return tuple(int(size) for size in sizes)


def numpy_dtype(dtype: torch.dtype) -> str:
    """Returns numpy's name of a type of torch's."""
    return str(dtype).removeprefix("torch.")


def torch_dtype(dtype: str) -> torch.dtype:
    """Returns torch's type of a name of numpy's."""
    found: torch.dtype = getattr(torch, dtype)
    return found
