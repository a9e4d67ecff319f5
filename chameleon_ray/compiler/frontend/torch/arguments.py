"""The arguments of a module's call: tensors, and all else, which stays as it is in the library."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError, name_all
from chameleon_ray.compiler.frontend.torch.arrays import array_of, tensor_from, tensor_of
from chameleon_ray.compiler.frontend.torch.node import numpy_dtype
from chameleon_ray.measure.example import Arrays


@dataclass(frozen=True)
class Arguments:
    """Positional and keyword arguments, which may be containers of tensors, numbers and None."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def tensors(self) -> tuple[Tensor, ...]:
        """Returns the tensors among them, in the order in which torch exports them."""
        return tuple(leaf for leaf in self._leaves() if isinstance(leaf, Tensor))

    def arrays(self) -> Arrays:
        """Returns the tensors' elements."""
        return tuple(map(array_of, self.tensors()))

    def like(self, arrays: Arrays) -> "Arguments":
        """Returns the same with other tensors, which are copies of arrays."""
        others = iter(arrays)
        return self._mapped(lambda _: tensor_from(next(others).copy()))

    def copied(self) -> "Arguments":
        """Returns the same with tensors of their own, which a module may change."""
        return self._mapped(lambda tensor: tensor.clone())

    def with_rows(self) -> "Arguments":
        """Returns the same with a batch of two at least, as torch takes one row for a constant."""
        first = self._rows
        return self._mapped(lambda one: torch.cat([one] * 2) if _has(one, first) == 1 else one)

    def batched(self) -> tuple[Tensor, ...]:
        """Returns the tensors with a batch: those of as many rows as the first one."""
        return tuple(one for one in self.tensors() if _has(one, self._rows))

    @property
    def _rows(self) -> int:
        """Extent of the first tensor's first axis; 0 where it has none."""
        return next((int(one.shape[0]) for one in self.tensors() if one.ndim), 0)

    def plain(self, generator: torch.Generator) -> "Arguments":
        """Returns the same as plain, contiguous tensors, with random floats in place of zeros.

        Examples are often zeros, and a network's outputs for zeros would hide most mistakes.
        """
        return self._mapped(lambda tensor: _varied(tensor.detach().contiguous(), generator))

    def _leaves(self) -> list[Any]:
        return pytree.tree_leaves((self.args, self.kwargs))

    def _mapped(self, change: Any) -> "Arguments":
        args, kwargs = pytree.tree_map_only(Tensor, change, (self.args, self.kwargs))
        return Arguments(args, kwargs)


def _has(tensor: Tensor, rows: int) -> int:
    """Returns the rows of a tensor that has as many; 0 for others."""
    return rows if tensor.ndim and tensor.shape[0] == rows else 0


def _varied(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point() or tensor.ndim == 0 or bool(tensor.any()):
        return tensor
    return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)


def of_examples(spec: str, examples: Any) -> Arguments:
    """Reads what a factory returns beside its module.

    Args:
        spec: Name of the factory in messages.
        examples: A sequence of positional arguments, a mapping of keyword arguments, a pair of the
            two, or one argument.

    Raises:
        ModelError: It holds something that torch cannot trace.
    """
    if isinstance(examples, Mapping):
        arguments = Arguments((), dict(examples))
    elif isinstance(examples, tuple) and [type(one) for one in examples] == [tuple, dict]:
        arguments = Arguments(*examples)
    else:
        several = isinstance(examples, tuple | list)
        arguments = Arguments(tuple(examples) if several else (examples,))
    strange = [
        type(leaf).__name__
        for leaf in arguments._leaves()
        if not isinstance(leaf, Tensor | bool | int | float | str | None | torch.dtype)
    ]
    if strange:
        raise ModelError(
            f"{spec} returned an example input of type {strange[0]}; give tensors, Python numbers, "
            "None, and lists, tuples and dicts of them."
        )
    return arguments


def completed(
    spec: str, module: torch.nn.Module, own: Arguments, inputs: Sequence[InputSpec], seed: int
) -> Arguments:
    """Returns the factory's own example inputs, with the user's in their place or after them.

    Raises:
        ModelError: The module needs an input that neither gives, or has none of a name.
    """
    parameters = _parameters(module)
    rng = np.random.default_rng(seed)
    if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters):
        given = tuple(tensor_of(one, rng) for one in inputs)
        return Arguments(given) if given else own
    names = [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
    by_name = name_all(inputs, [*names, *(name for name in own.kwargs if name not in names)], spec)
    args, kwargs = list(own.args), dict(own.kwargs)
    for place, name in enumerate(names):
        before = args[place] if place < len(args) else kwargs.get(name)
        if name in by_name:
            dtype = numpy_dtype(before.dtype) if isinstance(before, Tensor) else "float32"
            tensor = tensor_of(by_name[name], rng, dtype)
            if place < len(args):
                args[place] = tensor
            else:
                kwargs[name] = tensor
        elif place >= len(args) and name not in kwargs and _is_required(parameters[place]):
            raise ModelError(
                f"{spec} has no example for its input {name!r}; give its shape, such as "
                f"--input {name}:1,3,224,224, or return the module and example inputs."
            )
    return Arguments(tuple(args), kwargs)


def _parameters(module: torch.nn.Module) -> list[inspect.Parameter]:
    """Returns the parameters of a module's forward method, of a scripted one's, too."""
    if isinstance(module, torch.jit.ScriptModule):
        schema = module.forward.schema.arguments[1:]  # the first is the module itself
        kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
        return [
            inspect.Parameter(
                one.name, kind, default=one.default_value if one.has_default_value() else empty
            )
            for one in schema
        ]
    return list(inspect.signature(module.forward).parameters.values())


def _is_required(one: inspect.Parameter) -> bool:
    return one.default is inspect.Parameter.empty and one.kind not in (
        inspect.Parameter.VAR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
