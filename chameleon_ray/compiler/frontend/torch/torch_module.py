"""Imports torch modules: from the zoo, from a factory, or from an exported program."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.utils import _pytree as pytree

from chameleon_ray.compiler.frontend import zoo
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
from chameleon_ray.compiler.frontend.torch.arrays import array_of, tensor_of
from chameleon_ray.compiler.frontend.torch.decompositions import decomposed
from chameleon_ray.compiler.frontend.torch.exporting import dropped_state, export
from chameleon_ray.compiler.frontend.torch.factory import made
from chameleon_ray.compiler.frontend.torch.importer import translate
from chameleon_ray.compiler.frontend.torch.node import numpy_dtype
from chameleon_ray.compiler.frontend.torch.outputs import Flat, expected, is_foreign, run
from chameleon_ray.compiler.quiet import quiet

logger = logging.getLogger(__name__)


def load_zoo(name: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a network of the zoo, for one picture unless another shape is given."""
    shapes = zoo.inputs(name) or {}
    given = name_all(inputs, list(shapes), name)
    rng, tensors = np.random.default_rng(seed), []
    for place, shape in shapes.items():
        declared = Declared(place, ("batch", shape[1], "height", "width"), "float32")
        spec = declared.fix(given.get(place, InputSpec(place, shape)), name)
        tensors.append(tensor_of(spec, rng))
    return load_module(name, zoo.build(name, seed), Arguments(tuple(tensors)))


def load_factory(spec: str, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports the module that ``package.module:factory`` makes.

    The working directory is searched, too.
    """
    module, own = made(spec, seed)
    arguments = completed(spec, module, own, inputs, seed)
    return load_module(spec.rpartition(":")[2], module, arguments)


def load_module(name: str, module: torch.nn.Module, arguments: Arguments) -> Model:
    """Imports a module in inference mode.

    Args:
        name: Its name for people and for files.
        module: The module.
        arguments: Example inputs of its call.

    Raises:
        ModelError: It fails on these inputs, or cannot be exported or translated.
    """
    outputs = run(name, module, arguments)
    module = Flat(module) if is_foreign(outputs) else module
    return _finish(name, export(name, module, arguments), arguments, outputs)


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
    specs = close_all([one for one in declared if isinstance(one, Declared)], inputs, str(path))
    rng = np.random.default_rng(seed)
    tensors = iter([tensor_of(spec, rng) for spec in specs])
    leaves = [next(tensors) if isinstance(one, Declared) else one for one in declared]
    args, kwargs = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
    arguments = Arguments(tuple(args), dict(kwargs))
    with quiet():
        module = program.module()
    outputs = run(str(path), module, arguments)
    if any(
        isinstance(size, str) for one in declared if isinstance(one, Declared) for size in one.shape
    ):
        program = export(str(path), module, arguments)
    return _finish(path.stem, program, arguments, outputs)


def _finish(name: str, program: ExportedProgram, arguments: Arguments, outputs: Any) -> Model:
    with quiet():
        program = decomposed(program)
    note = dropped_state(name, program)
    if note is not None:
        logger.warning("%s", note)
    with quiet():
        module = translate(program, name)
    examples = tuple(array_of(tensor) for tensor in arguments.tensors())
    inputs = tuple(
        InputSpec(param.name, array.shape, array.dtype.name)
        for param, array in zip(module["main"].params, examples, strict=True)
    )
    return Model(name, module, inputs, digest(module), examples, expected(outputs), "torch")


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
