"""Gives the values of an imported module the names that the user's model has for them."""

from collections.abc import Mapping
from dataclasses import replace

from tvm import relax
from tvm.ir import Call, IRModule

from chameleon_ray.compiler.frontend.described import described
from chameleon_ray.compiler.origin import Origin, origin_of, with_origins
from chameleon_ray.compiler.relax import bindings_of, operator

Names = Mapping[relax.Expr, Origin]
"""Names of values that an importer has made, by the variable or the call that they are."""


def named(mod: IRModule, names: Names) -> IRModule:
    """Returns a module whose variables know the operations that they are computed for.

    What an importer has bound on the way to an operation's value is that operation's, too.
    Structure and hash stay the same.

    Args:
        mod: The module, as imported.
        names: Name, node and label of each operation, by its value; spans count as well.
    """
    found: dict[relax.Var, Origin] = {}
    inherited: dict[relax.Var, Origin] = {}
    for binding in reversed(bindings_of(mod)):
        var, value = binding.var, binding.value
        known = names.get(var) or names.get(value) or origin_of(var) or inherited.get(var)
        known = known or Origin("")
        for used in relax.analysis.free_vars(value):
            inherited[used] = known
        found[var] = _described(known, value)
    for binding in bindings_of(mod):
        if binding.value in found:  # another variable of the same value, such as an output
            found[binding.var] = found[binding.value]
    return with_origins(mod, found)


def _described(known: Origin, value: relax.Expr) -> Origin:
    name = operator(value)
    if not isinstance(value, Call) or not name:
        return known
    label = known.label or name.rpartition(".")[2].replace("_", " ")
    return replace(known, operator=name, what=described(value, label), label=label)
