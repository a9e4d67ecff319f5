"""Entry points: several scheduled models in one library, each a function of its own.

Their layers keep their own loops. TVM stores constants that are equal once, so models of the same
weights share them where these are packed alike.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon_ray.measure.bench import MAIN


def joined(parts: Mapping[str, Path]) -> Any:
    """Returns a module with the functions of several, whose ``main`` have other names.

    Args:
        parts: File of each module, by the new name of its ``main``.
    """
    import tvm
    from tvm import relax
    from tvm.relax.expr_functor import PyExprMutator, mutator

    @mutator
    class Renamed(PyExprMutator):  # type: ignore[misc]
        """Calls other functions in place of those of the same place in a mapping."""

        def __init__(self, known: Mapping[Any, Any]) -> None:
            super().__init__()
            self.known = known

        def visit_global_var_(self, variable: Any) -> Any:
            return self.known.get(variable, variable)

    builder = relax.BlockBuilder()
    for name, path in parts.items():
        module = tvm.ir.load_json(path.read_text())
        known = {
            variable: builder.add_func(loops.without_attr("global_symbol"), variable.name_hint)
            for variable, loops in module.functions.items()
            if not isinstance(loops, relax.Function)
        }
        main = Renamed(known).visit_expr(module[MAIN])
        builder.add_func(main.with_attr("global_symbol", name), name)
    return builder.get()
