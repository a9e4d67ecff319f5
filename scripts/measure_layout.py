"""Measures how the package is laid out: folders, circles, names, calls by string, docstrings.

    python scripts/measure_layout.py [--list]

Everything is read from the source. ``--list`` also names the docstrings with a bare opening.
"""

import ast
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PACKAGE = ROOT / "chameleon_ray"
OPENING = re.compile(
    r"(What|Of|Its|So|The same|As|How|Those|These|They|Them|That|Same|All so far|More)\b"
)
"""Words that a docstring opens with which needs the line above it."""
PRIVATE = (
    *("seat", "roster", "parcel", "porter", "ground", "fleet", "home", "beside"),
    *("crew", "hire", "hired", "brief", "briefing", "offered", "helping"),
)
"""Words of the project's own for which the field has others."""
CALLS = ("call", "broadcast", "do", "brief")
"""Methods of pools, whose first argument is the method to call."""
SENTENCES = re.compile(r"^(TROUBLE|FAULTS|SENTENCES)\b", re.MULTILINE)
"""Names that lists of errors for users had."""


def parsed(folder: Path = PACKAGE) -> dict[Path, ast.Module]:
    """The syntax trees of the files below a folder."""
    return {path: ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings of modules, classes and functions, and the strings below assignments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        body = getattr(node, "body", [])
        pairs = itertools.pairwise(body) if isinstance(body, list) else ()
        for first, second in pairs:
            named = isinstance(first, ast.Assign | ast.AnnAssign)
            if named and isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant):
                yield str(second.value.value)


def bare(trees: dict[Path, ast.Module]) -> list[tuple[Path, str]]:
    """Docstrings that cannot be read without the line above them."""
    return [
        (path, text.splitlines()[0])
        for path, tree in trees.items()
        for text in docstrings(tree)
        if OPENING.match(text)
    ]


def called_by_string(trees: dict[Path, ast.Module]) -> list[tuple[Path, str]]:
    """Calls of a pool's methods that name the method to call in a string."""
    return [
        (path, ast.unparse(node))
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CALLS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def twice(names: Iterator[str]) -> list[str]:
    """Names that occur more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def classes(trees: dict[Path, ast.Module]) -> Iterator[str]:
    """The names of all classes."""
    for tree in trees.values():
        yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Names of variables, attributes, parameters, functions and classes."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def private(trees: dict[Path, ast.Module]) -> list[str]:
    """The project's own words that are names, alone or as a part of one."""
    parts = {
        part.lower()
        for path, tree in trees.items()
        for name in (*identifiers(tree), path.stem)
        for part in re.findall(r"[A-Z]?[a-z]+", name)
    }
    return sorted(word for word in PRIVATE if word in parts or f"{word}s" in parts)


def main() -> None:
    """Prints a table."""
    from tests.pure.test_floors import MODULES
    from tests.pure.test_stages import arrows, circles

    trees = parsed()
    stems = (path.stem for path in trees if not path.stem.startswith("__"))
    compiler = PACKAGE / "compiler"
    rows = {
        "files directly in compiler/": len(list(compiler.glob("*.py"))),
        "folders in compiler/": sum((p / "__init__.py").exists() for p in compiler.iterdir()),
        "modules in a circle": len(circles(arrows(MODULES))),
        "calls by string": len(called_by_string(trees)),
        "class names used twice": ", ".join(twice(classes(trees))) or 0,
        "file stems used twice": ", ".join(twice(stems)) or 0,
        "private words as names": ", ".join(private(trees)) or 0,
        "lists of errors": sum(len(SENTENCES.findall(p.read_text())) for p in trees),
        "docstrings with a bare opening": len(bare(trees)),
        "files": len(trees),
        "lines": sum(len(path.read_text().splitlines()) for path in trees),
    }
    for name, value in rows.items():
        print(f"{name:36} {value}")
    if "--list" in sys.argv:
        for path, line in bare(trees):
            print(f"{path.relative_to(ROOT)}: {line}")


if __name__ == "__main__":
    main()
