"""Runs a module for the outputs to expect, and lists the tensors in whatever it returns."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.torch.arguments import Arguments
from chameleon_ray.compiler.frontend.torch.arrays import array_of


def run(name: str, module: Callable[..., Any], arguments: Arguments) -> Any:
    """Calls a module with copies of the arguments, and leaves its buffers as they were.

    Raises:
        ModelError: It fails, or returns no tensor.
    """
    given = arguments.copied()
    kept = _buffers(module)
    try:
        with torch.no_grad():
            outputs = module(*given.args, **given.kwargs)
    except (SystemExit, KeyboardInterrupt) as error:
        did = "raises KeyboardInterrupt" if isinstance(error, KeyboardInterrupt) else "ends Python"
        raise ModelError(f"{name} {did} when it is called; take that out of it.") from error
    except Exception as error:
        shapes = ", ".join("x".join(map(str, one.shape)) for one in given.tensors())
        raise ModelError(
            f"{name} fails on inputs of shape {shapes or 'none'} ({reason(error)}); give other "
            "shapes with --input, or values with --example."
        ) from error
    finally:
        for tensor, before in kept:
            if tensor.shape == before.shape:
                with torch.no_grad():
                    tensor.copy_(before)
    if not any(isinstance(leaf, Tensor | bool | int | float) for leaf in leaves(outputs)):
        raise ModelError(f"{name} returns no tensor; return what it computes.")
    return outputs


def _buffers(module: Any) -> list[tuple[Tensor, Tensor]]:
    """Returns a module's buffers, each with a copy."""
    if not isinstance(module, torch.nn.Module):
        return []
    return [(buffer, buffer.clone()) for buffer in module.buffers()]


def expected(name: str, outputs: Any) -> tuple[np.ndarray, ...]:
    """Returns a module's outputs as arrays; None and texts are left out, numbers are scalars.

    Raises:
        ModelError: One is of a type, or stored in a way, that numpy does not have.
    """
    found = []
    for leaf in leaves(outputs):
        if isinstance(leaf, bool | int | float):
            leaf = torch.tensor(leaf)
        if isinstance(leaf, Tensor):
            found.append(array_of(leaf, name))
    return tuple(found)


def leaves(outputs: Any) -> list[Any]:
    """Lists what containers, named tuples and dataclasses hold, in torch's order."""
    if dataclasses.is_dataclass(outputs) and not isinstance(outputs, type | Mapping):
        outputs = {
            field.name: getattr(outputs, field.name) for field in dataclasses.fields(outputs)
        }
    found = pytree.tree_leaves(
        outputs, is_leaf=lambda value: value is not outputs and _is_plain(value)
    )
    return [one for leaf in found for one in (leaves(leaf) if _is_plain(leaf) else [leaf])]


def _is_plain(value: Any) -> bool:
    """Whether a value is a dataclass that torch does not take apart."""
    whole = dataclasses.is_dataclass(value) and not isinstance(value, type | Mapping)
    return whole and type(value) not in pytree.SUPPORTED_NODES


def is_foreign(outputs: Any) -> bool:
    """Whether the outputs hold something that ``torch.export`` cannot return."""
    return not all(
        isinstance(leaf, Tensor | bool | int | float | str | None)
        for leaf in pytree.tree_leaves(outputs)
    )


class Flat(torch.nn.Module):
    """A module that returns the tensors alone that another module returns, in a tuple."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        outputs = leaves(self.module(*args, **kwargs))
        return tuple(leaf for leaf in outputs if isinstance(leaf, Tensor | bool | int | float))
