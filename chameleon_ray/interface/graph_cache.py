"""Tuned graphs of ``torch.compile`` in the user's cache, and those that wait for being tuned.

A graph has a directory named by all that its library depends on. It is that of a run: first with
the graph and its options alone, which then wait, at last with the library.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chameleon_ray import __version__
from chameleon_ray.cache import cache_folder
from chameleon_ray.report.summary import write_text

PROGRAM = "graph.pt2"
"""File of a graph, as ``torch.export.save`` writes it."""
OPTIONS = "options.json"
"""File of the options that the graph's library is to be made with."""


def cache() -> Path:
    """Returns the folder of all graphs, in the user's cache."""
    return cache_folder() / "graphs"


def folder_of(parts: Iterable[bytes]) -> Path:
    """Returns the directory of a graph; versions of this package and of TVM are part of its name.

    Args:
        parts: All that the graph's library depends on: code, constants, shapes, options.
    """
    digest = hashlib.sha256(f"{__version__} {version('apache-tvm')}".encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return cache() / digest.hexdigest()[:32]


def keep(folder: Path, program: Any, options: Mapping[str, Any]) -> None:
    """Has a graph wait for being tuned; other processes see all of it or nothing.

    Args:
        folder: The graph's directory.
        program: The graph, as ``torch.export`` makes it.
        options: Options of ``tune`` that its library differs by.

    Raises:
        OSError: The cache cannot be written.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / OPTIONS, json.dumps(options))
    temporary = folder / f".{os.getpid()}.{PROGRAM}"
    try:
        torch.export.save(program, temporary)
        temporary.replace(folder / PROGRAM)
    finally:
        temporary.unlink(missing_ok=True)


def options_of(folder: Path) -> dict[str, Any]:
    """Returns the options that a graph is to be tuned with; none where it was kept without."""
    file = folder / OPTIONS
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def is_tuned(folder: Path) -> bool:
    """Whether a graph's directory has a library."""
    return all((folder / name).is_file() for name in ("model.so", "summary.json"))


def waiting() -> list[Path]:
    """Returns the directories of the graphs that wait for being tuned, the oldest first."""
    programs = [path for path in cache().glob(f"*/{PROGRAM}") if not is_tuned(path.parent)]
    return [path.parent for path in sorted(programs, key=lambda path: path.stat().st_mtime)]
