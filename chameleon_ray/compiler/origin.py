"""Where in the user's model a value of a Relax module comes from, as the span of its variable.

TVM's passes keep a variable as long as it stands for the same value, and with it the span, which
neither equality nor hashes look at. Passes of this project that bind something new give it the span
of what it takes the place of (``relax.rewrite``).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from tvm import relax
from tvm.ir import IRModule, SourceName, Span
from tvm.relax.expr_functor import PyExprMutator, mutator


@dataclass(frozen=True)
class Origin:
    """The operation of the user's model that a value is computed for.

    Attributes:
        name: Its own name, or that of its module; empty where there is none.
        node: What tells it from other operations of that name.
        operator: Relax operator that it was imported as, such as ``relax.nn.conv2d``; of fused
            loops, that of the heaviest one.
        what: What it computes, for people, as ``conv 3x3/1 512→512 @7x7``.
        label: What it is called where it is fused to another one, as ``relu``.
    """

    name: str
    node: str = ""
    operator: str = ""
    what: str = ""
    label: str = ""

    @property
    def span(self) -> Span:
        """The origin as a variable's span."""
        return Span(SourceName(json.dumps(astuple(self))), 0, 0, 0, 0)


def origin_of(var: relax.Var) -> Origin | None:
    """Returns the origin of a variable; None where it has none.

    A span of others, such as a plug-in's, is the name of its source.
    """
    if var.span is None:
        return None
    text = str(var.span.source_name.name)
    try:
        return Origin(*json.loads(text))
    except (ValueError, TypeError):
        return Origin(text)


def with_origins(mod: IRModule, origins: Mapping[relax.Var, Origin]) -> IRModule:
    """Returns a module in which variables of ``main`` have these origins."""
    if not origins:
        return mod
    made = {var: type(var)(var.name, var.ty, origin.span) for var, origin in origins.items()}
    changed = IRModule(mod.functions, attrs=mod.attrs, global_infos=mod.global_infos)
    changed["main"] = _Renaming(made.get).visit_expr(mod["main"])
    return changed


@mutator
class _Renaming(PyExprMutator):  # type: ignore[misc]
    """Puts variables in the place of others where they are bound, and so where they are read."""

    def __init__(self, other: Callable[[relax.Var, relax.Var], Any]) -> None:
        super().__init__()
        self._other = other

    def visit_var_def_(self, var: relax.Var) -> relax.Var:
        return self._other(var, var)

    def visit_dataflow_var_def_(self, var: relax.DataflowVar) -> relax.Var:
        return self._other(var, var)
