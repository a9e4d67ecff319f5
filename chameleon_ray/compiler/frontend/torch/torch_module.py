"""Imports torch modules: from the zoo, from a factory, or from an exported program."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree
from tvm import relax
from tvm.ir import IRModule
from tvm.relax.frontend.torch import from_exported_program

from chameleon_ray.compiler.frontend import zoo
from chameleon_ray.compiler.frontend.drawing import Use, draw, drawn
from chameleon_ray.compiler.frontend.draws import redrawn, worked_out
from chameleon_ray.compiler.frontend.inputs import (
    Declared,
    InputSpec,
    ModelError,
    close_all,
    name_all,
)
from chameleon_ray.compiler.frontend.model import Model, digest, reason
from chameleon_ray.compiler.frontend.safe_load import plain_data
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.measure.example import Arrays, Example


@dataclass(frozen=True)
class Arguments:
    """Positional and keyword arguments of a module's call."""

    args: tuple[Tensor, ...] = ()
    kwargs: dict[str, Tensor] = field(default_factory=dict)

    def flat(self) -> tuple[Tensor, ...]:
        return (*self.args, *self.kwargs.values())

    def arrays(self) -> Arrays:
        return tuple(tensor.numpy() for tensor in self.flat())

    def like(self, arrays: Arrays) -> Arguments:
        """Returns arguments of the same form that are copies of other arrays."""
        tensors = [torch.from_numpy(array.copy()) for array in arrays]
        named = zip(self.kwargs, tensors[len(self.args) :], strict=True)
        return Arguments(tuple(tensors[: len(self.args)]), dict(named))


def load_zoo(name: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a network of the zoo, for one picture unless another shape is given."""
    shapes = zoo.inputs(name) or {}
    given = name_all(inputs, list(shapes), name)
    specs = []
    for place, shape in shapes.items():
        declared = Declared(place, ("batch", shape[1], "height", "width"), "float32")
        specs.append(declared.fix(given.get(place, InputSpec(place, shape)), name))
    draws = drawn(specs, [Use()] * len(specs), np.random.default_rng(seed))
    arguments = Arguments(tuple(map(torch.from_numpy, draws[0])))
    return _from_module(name, zoo.build(name, seed), arguments, draws)


def load_factory(spec: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports the module that ``package.module:factory`` makes.

    The working directory is searched, too.
    """
    module, own = made(spec, seed)
    arguments = _arguments(spec, module, own, inputs, seed)
    draws = redrawn(arguments.arrays(), np.random.default_rng((seed, 1)))
    return _from_module(spec.rpartition(":")[2], module, arguments, draws)


def made(spec: str, seed: int) -> tuple[torch.nn.Module, tuple[Tensor, ...]]:
    """Calls a factory for a module, in inference mode, and its own example inputs, if any.

    Floats that are all zero, as examples often are, become random ones. A network's outputs for
    zeros would hide most mistakes.

    Raises:
        ModelError: The factory cannot be found, fails, or makes something else.
    """
    answer = _make(spec, seed)
    module, own = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, ())
    own = tuple(own) if isinstance(own, tuple | list) else (own,)
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"{spec} returned {type(answer).__name__}; it must return a torch.nn.Module, or one "
            "and a tuple of example inputs."
        )
    if not all(isinstance(value, Tensor) for value in own):
        raise ModelError(f"{spec} returned example inputs that are not all tensors.")
    generator = torch.Generator().manual_seed(seed)
    return module.eval(), tuple(_varied(tensor, generator) for tensor in own)


def _varied(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point() or tensor.ndim == 0 or bool(tensor.any()):
        return tensor
    return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)


def load_program(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a program that ``torch.export.save`` has written."""
    try:
        with quiet(), plain_data():
            program = torch.export.load(path)
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as a torch exported program ({reason(error)}); write it again "
            "with torch.export.save and this version of torch."
        ) from error
    declared = _declared(program, str(path))
    specs = close_all(declared, inputs, str(path))
    draws = drawn(specs, [Use(counted=False)] * len(specs), np.random.default_rng(seed))
    tensors = [*map(torch.from_numpy, draws[0])]
    args, kwargs = pytree.tree_unflatten(tensors, program.call_spec.in_spec)
    arguments = Arguments(tuple(args), dict(kwargs))
    with quiet():
        module = program.module()
    examples = _examples(str(path), module, arguments, draws)
    if any(isinstance(size, str) for one in declared for size in one.shape):
        program = _export(str(path), module, arguments)
    return _finish(path.stem, program, examples)


def _make(spec: str, seed: int) -> Any:
    """Calls the factory; torch's global generator is seeded while it runs."""
    place, _, factory = spec.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(place)
    except Exception as error:
        raise ModelError(
            f"The module {place} of {spec} cannot be imported ({type(error).__name__}: "
            f"{reason(error)}); check the name and the working directory."
        ) from error
    for part in factory.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ModelError(f"The module {place} has no function {factory}; check the name.")
    try:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            return found()
    except Exception as error:
        raise ModelError(
            f"{spec} failed ({type(error).__name__}: {reason(error)}); it is called without "
            "arguments."
        ) from error


def _arguments(
    spec: str,
    module: torch.nn.Module,
    own: tuple[Tensor, ...],
    inputs: Sequence[InputSpec],
    seed: int,
) -> Arguments:
    """Returns the factory's own example inputs, with the user's in their place or after them."""
    parameters = inspect.signature(module.forward).parameters.values()
    rng = np.random.default_rng(seed)
    if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters):
        return Arguments(tuple(_tensor(given, rng) for given in inputs) or own)
    given = name_all(inputs, [one.name for one in parameters], spec)
    args = list(own)
    kwargs = {}
    for place, one in enumerate(parameters):
        if one.name in given:
            like = _dtype(own[place].dtype) if place < len(own) else "float32"
            tensor = _tensor(given[one.name], rng, like)
            if place < len(own):
                args[place] = tensor
            else:
                kwargs[one.name] = tensor
        elif place >= len(own) and one.default is inspect.Parameter.empty:
            raise ModelError(
                f"{spec} has no example for its input {one.name!r}; give its shape, such as "
                f"--input {one.name}:1,3,224,224, or return the module and example inputs."
            )
    return Arguments(tuple(args), kwargs)


def _from_module(
    name: str, module: torch.nn.Module, arguments: Arguments, draws: Sequence[Arrays]
) -> Model:
    examples = _examples(name, module, arguments, draws)
    return _finish(name, _export(name, module, arguments), examples)


def _examples(
    name: str, module: Callable[..., Any], arguments: Arguments, draws: Sequence[Arrays]
) -> tuple[Example, ...]:
    return worked_out(name, lambda arrays: _run(name, module, arguments.like(arrays)), draws)


def _run(name: str, module: Callable[..., Any], arguments: Arguments) -> Arrays:
    try:
        with torch.no_grad():
            outputs = module(*arguments.args, **arguments.kwargs)
    except Exception as error:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in arguments.flat())
        raise ModelError(
            f"{name} fails on inputs of shape {shapes} ({reason(error)}); give other shapes with "
            "--input."
        ) from error
    return tuple(value.numpy() for value in pytree.tree_leaves(outputs))


def _export(name: str, module: torch.nn.Module, arguments: Arguments) -> ExportedProgram:
    try:
        with quiet():
            return torch.export.export(module, arguments.args, arguments.kwargs)
    except Exception as error:
        raise ModelError(
            f"torch.export cannot trace {name} ({reason(error)}); free its forward method of "
            "control flow that depends on data."
        ) from error


def _finish(name: str, program: ExportedProgram, examples: tuple[Example, ...]) -> Model:
    module = _translate(name, program)
    inputs = tuple(
        InputSpec(param.name, array.shape, array.dtype.name)
        for param, array in zip(module["main"].params, examples[0].inputs, strict=True)
    )
    return Model(name, module, inputs, digest(module), examples, "torch")


def _translate(name: str, program: ExportedProgram) -> IRModule:
    # The program is decomposed first, which is the default. Of an undecomposed batch norm, TVM
    # would silently take the momentum for the epsilon, and normalise by the batch's statistics.
    try:
        with quiet():
            return from_exported_program(
                program,
                unwrap_unit_return_tuple=True,
                custom_convert_map={"cumsum.default": _cumsum},
            )
    except Exception as error:
        raise ModelError(
            f"TVM cannot translate {name} ({reason(error)}); replace these operators, or export "
            "the model to ONNX."
        ) from error


def _cumsum(node: torch.fx.Node, importer: Any) -> relax.Var:
    """Converts a cumulative sum with torch's type of the result, as TVM's differs for booleans."""
    x, *dim = importer.retrieve_args(node)
    kind = _dtype(node.meta["val"].dtype)
    axis = dim[0] if dim else node.kwargs["dim"]
    summed = importer.block_builder.emit(relax.op.astype(x, kind))
    return importer.block_builder.emit(relax.op.cumsum(summed, axis, kind))


def _declared(program: ExportedProgram, name: str) -> list[Declared]:
    """Returns the inputs that an exported program declares."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    declared = []
    for user_input in program.graph_signature.user_inputs:
        value = values.get(user_input)
        if not isinstance(value, Tensor):
            raise ModelError(f"The input {user_input!r} of {name} is no tensor; export without it.")
        shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
        declared.append(Declared(user_input, shape, _dtype(value.dtype)))
    return declared


def _tensor(spec: InputSpec, rng: np.random.Generator, dtype: str = "float32") -> Tensor:
    typed = spec.typed(spec.dtype or dtype)
    unknown = Use(counted=False)
    return torch.from_numpy(draw(typed, unknown, rng) if typed.values is None else typed.values)


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
