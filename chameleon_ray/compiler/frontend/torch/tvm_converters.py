"""TVM's own converters of torch's operators, called one at a time."""

import functools
from typing import Any

import torch
from torch import fx
from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

from chameleon_ray.compiler.frontend.torch.node import Converter, Node, is_several


def converter(node: fx.Node) -> Converter | None:
    """Returns TVM's converter of an operator of torch's own; None where it has none."""
    target: Any = node.target
    own = isinstance(target, torch._ops.OpOverload) and target.namespace == "aten"
    return _convert if own and target.__name__ in _names() else None


def _convert(node: Node) -> Any:
    importer = ExportedProgramImporter()
    importer.block_builder = node.builder
    values = list(node.arguments.values())
    for place, one in enumerate(node.fx.args):
        importer.env |= _pairs(node, one, values[place])
    for name, one in node.fx.kwargs.items():
        importer.env |= _pairs(node, one, node.arguments[name])
    return importer.convert_map[node.fx.target.__name__](node.fx)


def _pairs(node: Node, given: Any, value: Any) -> dict[fx.Node, Any]:
    """Returns the values of the operations in an argument, known tensors as constants."""
    if isinstance(given, fx.Node):
        whole = isinstance(value, torch.Tensor)
        return {given: node.as_constant(value) if whole else value}
    if is_several(given):
        pairs = (_pairs(node, *both) for both in zip(given, value, strict=True))
        return {key: one for pair in pairs for key, one in pair.items()}
    return {}


@functools.cache
def _names() -> frozenset[str]:
    """Returns the names of the operators that TVM has converters for."""
    return frozenset(ExportedProgramImporter().convert_map)
