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
DRIVERS = ("apply", "winners_pass", "model_host", "model_jobs", "kinds")
"""Parts of ``compiler`` that run its stages, and may import all of them."""


def stage(name: str) -> str | None:
    """The part of ``compiler`` that a dotted name lies in; None for anything else."""
    parts = name.split(".")
    return parts[2] if parts[:2] == [PACKAGE, "compiler"] and len(parts) > 2 else None


def backwards(source: str, part_of: str) -> list[str]:
    """What a file of the part ``part_of`` of ``compiler`` imports of a later stage."""
    return [name for name in imports(source) if not _forwards(stage(name), part_of)]


def _forwards(there: str | None, part_of: str) -> bool:
    if there is None or there == part_of or part_of in DRIVERS:
        return True
    if there in STAGES:
        return part_of in STAGES and STAGES.index(there) < STAGES.index(part_of)
    return there not in DRIVERS


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """The modules that import themselves by way of others, however late they do so."""
    reached = {name: set(there) for name, there in arrows.items()}
    for middle in reached:
        for there in reached.values():
            if middle in there:
                there |= reached[middle]
    return sorted(name for name, there in reached.items() if name in there)


def module(path: Path) -> str:
    """The dotted name of a file's module, or of its package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows(paths: list[Path]) -> dict[str, set[str]]:
    """The modules of the package that each module imports."""
    dotted = {module(path): path for path in paths}
    found = {}
    for name, path in dotted.items():
        named_there = {there for there in imports(path.read_text()) if there.startswith(PACKAGE)}
        modules = {one if one in dotted else one.rpartition(".")[0] for one in named_there}
        found[name] = modules & dotted.keys() - {name}
    return found


@pytest.mark.parametrize("path", COMPILER, ids=named)
def test_no_stage_imports_a_later_one(path: Path) -> None:
    part_of = path.relative_to(ROOT / PACKAGE / "compiler").with_suffix("").parts[0]
    assert backwards(path.read_text(), part_of) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(arrows(MODULES)) == []


def test_a_backward_import_is_found() -> None:
    later = "def late():\n    from chameleon_ray.compiler.runtime.model_bench import ModelBench"
    assert len(backwards(later, "codegen")) == len(backwards(later, "target")) == 1
    assert backwards("from chameleon_ray.compiler import apply", "runtime") != []
    assert backwards(later, "model_host") == backwards(later, "runtime") == []
    assert backwards("from chameleon_ray.compiler.spaces.sketch import Program", "runtime") == []


def test_a_package_is_a_module_too() -> None:
    kinds = [path for path in MODULES if "kinds" in path.parts]
    assert f"{PACKAGE}.compiler.kinds" in arrows(kinds)[f"{PACKAGE}.compiler.kinds.devices"]


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
