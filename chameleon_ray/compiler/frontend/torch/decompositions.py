"""Which of torch's operators are decomposed into simpler ones before they are converted."""

from collections.abc import Callable

import torch
from torch._decomp import decomposition_table
from torch.export import ExportedProgram, default_decompositions

from chameleon_ray.compiler.frontend.torch.converters import CONVERTERS


def decomposed(program: ExportedProgram) -> ExportedProgram:
    """Decomposes every operator that has no converter and that torch knows how to.

    What torch decomposes by default, and has a converter, is left whole only where it is computed
    better so.
    """
    table = default_decompositions()
    for operator in list(table):
        if str(operator) in CONVERTERS:
            del table[operator]
    for operator, function in _others().items():
        if operator not in table:
            table[operator] = function
    return program.run_decompositions(table)


def _others() -> dict[torch._ops.OpOverload, Callable]:
    """Returns the decompositions that torch has and does not use by default."""
    return {
        operator: function
        for operator, function in decomposition_table.items()
        if isinstance(operator, torch._ops.OpOverload)
        and str(operator) not in CONVERTERS
        and torch.Tag.nondeterministic_seeded not in operator.tags
    }
