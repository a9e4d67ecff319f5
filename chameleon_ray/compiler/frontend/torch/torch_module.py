"""Imports torch modules: from the zoo, from a factory, or from an exported program."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.utils import _pytree as pytree
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend import zoo
from chameleon_ray.compiler.frontend.drawing import DRAWS, Use, drawn, uses_of
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
from chameleon_ray.compiler.frontend.torch.arguments import Arguments, completed
from chameleon_ray.compiler.frontend.torch.arrays import tensor_from
from chameleon_ray.compiler.frontend.torch.decompositions import decomposed
from chameleon_ray.compiler.frontend.torch.exporting import dropped_state, export
from chameleon_ray.compiler.frontend.torch.factory import made
from chameleon_ray.compiler.frontend.torch.importer import translate
from chameleon_ray.compiler.frontend.torch.node import numpy_dtype
from chameleon_ray.compiler.frontend.torch.outputs import Flat, expected, is_foreign, run
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.measure.example import Arrays, Example

logger = logging.getLogger(__name__)


def load_zoo(name: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a network of the zoo, for one picture unless another shape is given."""
    shapes = zoo.inputs(name) or {}
    given = name_all(inputs, list(shapes), name)
    specs = []
    for place, shape in shapes.items():
        declared = Declared(place, ("batch", shape[1], "height", "width"), "float32")
        specs.append(declared.fix(given.get(place, InputSpec(place, shape)), name))
    draws = drawn(specs, [Use()] * len(specs), np.random.default_rng(seed))
    arguments = Arguments(tuple(map(tensor_from, draws[0])))
    return load_module(name, zoo.build(name, seed), arguments, draws)


def load_factory(spec: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports the module that ``package.module:factory`` makes.

    The working directory is searched, too.
    """
    module, own = made(spec, seed)
    arguments = completed(spec, module, own, inputs, seed)
    count = DRAWS if all(one.values is None for one in inputs) else 1
    draws = redrawn(arguments.arrays(), np.random.default_rng((seed, 1)), count)
    return load_module(spec.rpartition(":")[2], module, arguments, draws)


def load_module(
    name: str, module: torch.nn.Module, arguments: Arguments, draws: Sequence[Arrays]
) -> Model:
    """Imports a module in inference mode.

    Args:
        name: Its name for people and for files.
        module: The module.
        arguments: Example inputs of its call.
        draws: Values of the tensors among them, and more like these.

    Raises:
        ModelError: It fails on these inputs, or cannot be exported or translated.
    """
    module = Flat(module) if is_foreign(run(name, module, arguments)) else module
    examples = _examples(name, module, arguments, draws)
    translated = _translated(name, export(name, module, arguments))
    return _model(name, translated, examples)


def load_program(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a program that ``torch.export.save`` has written."""
    program = read_program(path)
    declared = _declared(program, str(path))
    given_ones = [one for one in declared if isinstance(one, Declared)]
    specs = close_all(given_ones, inputs, str(path))
    plain = drawn(specs, [Use(counted=False)] * len(specs), np.random.default_rng(seed), 1)[0]
    arguments = call_of(program, str(path), plain)
    with quiet():
        module = program.module()
    if any(isinstance(size, str) for one in given_ones for size in one.shape):
        program = export(str(path), module, arguments)
    translated = _translated(path.stem, program)
    draws = drawn(specs, uses_of(translated), np.random.default_rng(seed))
    return _model(path.stem, translated, _examples(str(path), module, arguments, draws))


def declared_by(path: Path) -> list[Declared]:
    """Returns the inputs that a program in a file declares, with names for open extents.

    Raises:
        ModelError: It cannot be read.
    """
    return [one for one in _declared(read_program(path), str(path)) if isinstance(one, Declared)]


def read_program(path: Path) -> ExportedProgram:
    """Reads a program that ``torch.export.save`` has written.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        with quiet(), plain_data():
            return torch.export.load(path)
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as a torch exported program ({reason(error)}); write it again "
            "with torch.export.save and this version of torch."
        ) from error


def call_of(program: ExportedProgram, name: str, arrays: Arrays) -> Arguments:
    """Returns the arguments of a program's call, with these arrays as its tensors."""
    tensors = iter(map(tensor_from, arrays))
    leaves = [
        next(tensors) if isinstance(one, Declared) else one for one in _declared(program, name)
    ]
    args, kwargs = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
    return Arguments(tuple(args), dict(kwargs))


def _examples(
    name: str, module: Callable[..., Any], arguments: Arguments, draws: Sequence[Arrays]
) -> tuple[Example, ...]:
    return worked_out(
        name, lambda arrays: expected(name, run(name, module, arguments.like(arrays))), draws
    )


def _translated(name: str, program: ExportedProgram) -> IRModule:
    """Translates an exported program, and says which of its state is dropped."""
    with quiet():
        program = decomposed(program)
    note = dropped_state(name, program)
    if note is not None:
        logger.warning("%s", note)
    with quiet():
        return translate(program, name)


def _model(name: str, module: IRModule, examples: tuple[Example, ...]) -> Model:
    inputs = tuple(
        InputSpec(param.name, array.shape, array.dtype.name)
        for param, array in zip(module["main"].params, examples[0].inputs, strict=True)
    )
    return Model(name, module, inputs, digest(module), examples, "torch")


def _declared(program: ExportedProgram, name: str) -> list[Any]:
    """Returns the inputs that an exported program declares; what is no tensor, as its value."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    declared: list[Any] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind != InputKind.USER_INPUT:
            continue
        value = values.get(spec.arg.name)
        if isinstance(spec.arg, ConstantArgument):
            declared.append(spec.arg.value)
        elif isinstance(value, Tensor):
            shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
            declared.append(Declared(spec.arg.name, shape, numpy_dtype(value.dtype)))
        else:
            raise ModelError(
                f"The input {spec.arg.name!r} of {name} is no tensor; export it with a fixed value."
            )
    return declared
