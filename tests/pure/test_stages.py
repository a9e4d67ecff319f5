"""The compiler's stages and circles: no stage imports a later one, and no module itself.

Read from the source, as in ``test_floors``.
"""

from pathlib import Path

import pytest

from tests.pure.test_floors import MODULES, PACKAGE, ROOT, imports, named

COMPILER = [path for path in MODULES if "compiler" in path.parts]
STAGES = ("frontend", "passes", "spaces", "codegen", "runtime")
"""Folders of ``compiler`` in the order of the data: one may import itself and those before it, and
what all stages use, which lies in ``compiler`` itself and imports none of them."""
DRIVERS = ("apply", "model_host", "kinds")
"""Parts of ``compiler`` that run its stages, and may import all of them."""


def stage(name: str) -> str | None:
    """The part of ``compiler`` that a dotted name lies in; None for anything else."""
    parts = name.split(".")
    return parts[2] if parts[:2] == [PACKAGE, "compiler"] and len(parts) > 2 else None


def backwards(source: str, home: str) -> list[str]:
    """What a file of the part ``home`` of ``compiler`` imports of a later stage."""
    return [name for name in imports(source) if not _forwards(stage(name), home)]


def _forwards(there: str | None, home: str) -> bool:
    if there is None or there == home or home in DRIVERS:
        return True
    if there in STAGES:
        return home in STAGES and STAGES.index(there) < STAGES.index(home)
    return there not in DRIVERS


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """The modules that import themselves by way of others, however late they do so."""
    reached = {name: set(there) for name, there in arrows.items()}
    for middle in reached:
        for there in reached.values():
            if middle in there:
                there |= reached[middle]
    return sorted(name for name, there in reached.items() if name in there)


def arrows(paths: list[Path]) -> dict[str, set[str]]:
    """The modules of the package that each module imports."""
    dotted = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    found = {}
    for name, path in dotted.items():
        named_there = {there for there in imports(path.read_text()) if there.startswith(PACKAGE)}
        modules = {there if there in dotted else there.rpartition(".")[0] for there in named_there}
        found[name] = modules & dotted.keys() - {name}
    return found


@pytest.mark.parametrize("path", COMPILER, ids=named)
def test_no_stage_imports_a_later_one(path: Path) -> None:
    home = path.relative_to(ROOT / PACKAGE / "compiler").with_suffix("").parts[0]
    assert backwards(path.read_text(), home) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(arrows(MODULES)) == []


def test_a_backward_import_is_found() -> None:
    later = "def late():\n    from chameleon_ray.compiler.runtime.model_bench import ModelBench"
    assert len(backwards(later, "codegen")) == len(backwards(later, "target")) == 1
    assert backwards("from chameleon_ray.compiler import apply", "runtime") != []
    assert backwards(later, "model_host") == backwards(later, "runtime") == []
    assert backwards("from chameleon_ray.compiler.spaces.sketch import Program", "runtime") == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
