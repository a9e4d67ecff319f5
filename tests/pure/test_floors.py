"""Floors and sizes: imports go downwards only, heavy packages stay where they belong, files short.

Read from the source, so that nothing is imported; a module named in a string, as the handlers of
child processes are, counts as imported.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "chameleon_ray"
FLOORS = (
    ("errors", "cache", "importing", "printable", "atomic_write", "signals"),
    (
        "pool",
        "ledger",
        "folder",
        "run_files",
        "agents",
        "folder_lock",
        "lockfile",
        "store",
        "database",
        "record",
        "lowerings",
        "merging",
        "layer_names",
        "task",
        "space",
        "knob",
        "limit",
        "presets",
        "options",
        "plugins",
        "reporting",
        "vendor",
        "trust",
    ),
    ("search", "replay", "measure", "graph"),
    ("engine", "budget", "forecast", "tuner", "transfer", "winners", "contest"),
    ("cluster", "compiler", "report", "deployment", "runs", "ui"),
    ("api",),
    ("__main__", "commands", "interface", "answering"),
)
CHAINS = (
    ("pool", "ledger"),
    ("replay", "measure"),
    ("folder", "database", "record", "space", "knob"),
    ("folder", "run_files", "lockfile", "space"),
    ("folder", "run_files", "folder_lock"),
    ("folder", "agents"),
    ("store", "database", "record", "space", "knob"),
    ("store", "layer_names", "task"),
    ("store", "vendor"),
    ("store", "plugins"),
    ("store", "options"),
    ("vendor", "record", "space"),
    ("merging", "task", "space", "knob"),
    ("lowerings", "task", "options"),
    ("layer_names", "task"),
    ("space", "limit"),
    ("presets", "options"),
    ("__main__", "commands", "interface", "answering"),
    ("ui", "runs", "report"),
    ("engine", "budget", "tuner", "transfer"),
    ("forecast", "tuner"),
    ("winners", "contest"),
)
"""Within a floor a part may import those to its right; all other pairs are apart."""
THIRD_PARTY = {
    "agents": {"numpy"},
    "database": {"pyarrow"},
    "store": {"pyarrow", "fsspec"},
    "space": {"numpy"},
    "knob": {"numpy"},
    "limit": {"numpy"},
    "measure": {"numpy"},
    "replay": {"numpy"},
    "graph": {"numpy"},
    "search": {"numpy", "scipy", "gymnasium", "xgboost", "sklearn", "threadpoolctl"},
    "tuner": {"numpy"},
    "transfer": {"numpy"},
    "cluster": {"numpy", "gymnasium", "packaging", "ray", "torch"},
    "compiler": {"numpy", "tvm", "tvm_ffi", "cuda", "torch", "onnx", "onnxruntime", "ml_dtypes"}
    | {"openvino"},
    "report": {"numpy", "rich", "tensorboardX"},
    "runs": {"rich"},
    "deployment": {"numpy", "tvm_ffi"},
    "api": {"numpy", "yaml"},
    "commands": {"rich", "typer"},
    "interface": {"numpy", "pyarrow", "torch"},
    "answering": {"rich", "typer"},
}
"""Parts that are not named have the standard library only."""
HEAVY = {"ray", "torch", "tvm", "tvm_ffi", "xgboost"}
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
OPTION_ALIASES = frozenset(
    re.findall(
        r"^(\w+) = Annotated\[",
        (ROOT / PACKAGE / "commands/arguments.py").read_text(),
        re.MULTILINE,
    )
)
"""Names of the options that several commands have."""

FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
SOURCES = [*MODULES, *sorted(p for d in ("tests", "scripts") for p in (ROOT / d).rglob("*.py"))]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part(path: Path) -> str:
    """The part of the package a file belongs to; empty for the package's ``__init__``."""
    inside = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return "" if inside == ("__init__",) else inside[0]


def imports(source: str) -> Iterator[str]:
    """Dotted names of all that is imported, anywhere in a file, and of modules named in strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            handler = re.fullmatch(rf"({PACKAGE}(\.\w+)+)(:\w+)?", node.value)
            if handler:
                yield handler[1]


def offences(source: str, part_of: str) -> list[str]:
    """What a file of the part ``part_of`` imports and may not."""
    return [name for name in imports(source) if not _allowed(name, part_of)]


def _allowed(name: str, part_of: str) -> bool:
    top, _, rest = name.partition(".")
    if top != PACKAGE:
        return top in sys.stdlib_module_names or top in THIRD_PARTY.get(part_of, set())
    there = rest.partition(".")[0]
    if there in ("", "__version__", part_of):
        return True
    if part_of == "":  # the package's public names
        return there in ("errors", "interface")
    if there not in FLOOR_OF:
        return False
    chained = any(
        part_of in chain and there in chain and chain.index(part_of) < chain.index(there)
        for chain in CHAINS
    )
    return FLOOR_OF[there] < FLOOR_OF[part_of] or chained


def oversized(source: str, most: int = LONGEST_FILE) -> list[str]:
    """What is too long in a file: the file itself, and functions from ``def`` to their end.

    Parameters that have lines of their own and help texts for the command line do not count.
    """
    lines = len(source.splitlines())
    found = [f"{lines} lines"] if lines > most else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = [one for one in node.args.args if is_option(one)]
            lines = (node.end_lineno or 0) - node.lineno + 1 - len(told)
            found += [f"{node.name}: {lines} lines"] if lines > LONGEST_FUNCTION else []
    return found


def is_option(parameter: ast.arg) -> bool:
    """Whether a parameter is an option of a command: annotated with one, or with its alias."""
    note = ast.unparse(parameter.annotation) if parameter.annotation else ""
    return note.startswith("Annotated[") or note in OPTION_ALIASES


def loaded(program: str) -> set[str]:
    """The heavy packages in a fresh interpreter after a program, which may exit with status 0."""
    report = f"import atexit, sys; atexit.register(lambda: print(*({HEAVY} & sys.modules.keys())))"
    done = subprocess.run(
        [sys.executable, "-c", f"{report}\n{program}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_every_module_is_on_a_floor() -> None:
    assert {part(path) for path in MODULES} - {""} == set(FLOOR_OF)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_go_downwards_only(path: Path) -> None:
    assert offences(path.read_text(), part(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_files_and_functions_are_short(path: Path) -> None:
    assert oversized(path.read_text(), LONGEST_FILE) == []


@pytest.mark.parametrize(
    ("part_of", "line"),
    [
        ("search", "import tvm"),
        ("search", "import ray.util"),
        ("measure", "from torch import nn"),
        ("search", "from chameleon_ray.measure.measurer import Timing"),
        ("measure", "import chameleon_ray.search.explorer"),
        ("graph", "from chameleon_ray.measure.measurer import Timing"),
        ("graph", "from tvm import relax"),
        ("compiler", "from chameleon_ray import cluster"),
        ("cluster", "def later():\n    import tvm_ffi"),
        ("cluster", "def later():\n    from chameleon_ray.report.result import RunResult"),
        ("compiler", "import ray"),
        ("report", "HANDLER = 'chameleon_ray.compiler.model_host:model_host'"),
        ("tuner", "from chameleon_ray.budget import Budget"),
        ("winners", "from chameleon_ray.tuner import Tuner"),
        ("space", "from chameleon_ray.task import Task"),
        ("options", "import numpy"),
        ("engine", "from chameleon_ray.api import tune"),
        ("api", "import torch"),
        ("api", "from . import choices"),
        ("api", "from chameleon_ray.nowhere import nothing"),
        ("", "from chameleon_ray.api import tune"),
    ],
)
def test_a_forbidden_import_is_found(part_of: str, line: str) -> None:
    assert len(offences(line, part_of)) == 1


@pytest.mark.parametrize(
    ("part_of", "line"),
    [
        ("engine", "from chameleon_ray.tuner import Tuner"),
        ("cluster", "import ray, torch, asyncio.queues"),
        ("compiler", "HANDLER = 'chameleon_ray.compiler.model_host:model_host'"),
        ("search", "from chameleon_ray.search.explorer import Trail"),
        ("__main__", "from chameleon_ray import __version__, api"),
    ],
)
def test_an_import_downwards_is_none(part_of: str, line: str) -> None:
    assert offences(line, part_of) == []


def test_sizes_are_measured() -> None:
    body = "\n".join(["    pass"] * LONGEST_FUNCTION)
    assert oversized(f"async def f():\n{body}") == [f"f: {LONGEST_FUNCTION + 1} lines"]
    assert oversized(f"def f():\n{body.removesuffix('pass').rstrip()}") == []
    assert oversized("\n" * LONGEST_FILE) == []
    assert oversized("\n" * (LONGEST_FILE + 1)) == [f"{LONGEST_FILE + 1} lines"]


HELP = "import sys; sys.argv = ['chameleon', {}]\nfrom chameleon_ray.__main__ import main\nmain()"


@pytest.mark.parametrize(
    "program",
    [
        f"import {PACKAGE}",
        f"import {PACKAGE}.api.replay",
        f"import {PACKAGE}.compiler.kinds",
        HELP.format("'--help'"),
        HELP.format("'tune', '--help'"),
    ],
    ids=["import", "import replay", "import kinds", "help", "tune help"],
)
def test_what_must_be_quick_loads_nothing_heavy(program: str) -> None:
    assert loaded(program) == set()


def test_a_heavy_package_is_noticed() -> None:
    assert "xgboost" in loaded("import xgboost")
