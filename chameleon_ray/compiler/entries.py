"""Entry points: several scheduled models in one library, each a function of its own.

Their layers keep their own loops. TVM stores constants that are equal once, so models of the same
weights share them where these are packed alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chameleon_ray.measure.bench import MAIN
from chameleon_ray.space import Config


class Host(Protocol):
    """The part of ``ModelHost`` that these jobs use."""

    def schedule(
        self, winners: Mapping[str, tuple[Config, float]], database: Path
    ) -> tuple[Any, set[str]]: ...

    def compile(self, module: Any, target: str, path: Path) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """A job that schedules the model with winners, and keeps it in a file until it is compiled.

    Attributes:
        winners: As for ``CompileTuned``.
        path: File of the scheduled model.
        database: Folder of the MetaSchedule database.
    """

    winners: Mapping[str, tuple[Config, float]]
    path: Path
    database: Path

    def run(self, host: Host) -> set[str]:
        import tvm

        scheduled, applied = host.schedule(self.winners, self.database)
        self.path.write_text(tvm.ir.save_json(scheduled))
        return applied


@dataclass(frozen=True)
class CompileEntries:
    """A job that compiles scheduled models into one library.

    Attributes:
        parts: File of each scheduled model, by the name of its entry point.
        target: Complete target, as JSON.
        path: File of the library.
    """

    parts: Mapping[str, Path]
    target: str
    path: Path

    def run(self, host: Host) -> None:
        host.compile(joined(self.parts), self.target, self.path)


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
