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
from chameleon_ray.api.timing_cores import cores_asked_for
from chameleon_ray.cache import cache_folder
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.errors import UserError
from chameleon_ray.report.summary import write_text

PROGRAM = "graph.pt2"
"""File of a graph, as ``torch.export.save`` writes it."""
OPTIONS = "options.json"
"""File of the options that the graph's library is to be made with."""
TARGET = "made_for"
"""Name of the library's complete target among them."""


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


def target_of(options: Mapping[str, Any]) -> str:
    """Returns the complete target of a graph's library, which names this machine's CPU.

    So a cache that machines share has a library for each kind of CPU.

    Args:
        options: Options of ``tune`` that the library differs by.

    Raises:
        UserError: There is no such target here.
    """
    from chameleon_ray.interface.tuning import request_of  # which those who list graphs do not need

    request = request_of(options)
    kind = kind_of(request.target)
    if kind.gpus is not None:
        return request.target
    return cores_asked_for(request).target(request.target)


def keep(folder: Path, program: Any, options: Mapping[str, Any], target: str) -> None:
    """Has a graph wait for being tuned; other processes see all of it or nothing.

    Args:
        folder: The graph's directory.
        program: The graph, as ``torch.export`` makes it.
        options: Options of ``tune`` that its library differs by.
        target: Complete target of its library.

    Raises:
        OSError: The cache cannot be written.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / OPTIONS, json.dumps({**options, TARGET: target}))
    temporary = folder / f".{os.getpid()}.{PROGRAM}"
    try:
        torch.export.save(program, temporary)
        temporary.replace(folder / PROGRAM)
    finally:
        temporary.unlink(missing_ok=True)


def options_of(folder: Path) -> dict[str, Any]:
    """Returns the options that a graph is to be tuned with; none where it was kept without."""
    return {name: value for name, value in _kept(folder).items() if name != TARGET}


def is_of_another(folder: Path) -> bool:
    """Whether a graph's library has to be made on a machine with another CPU, or more cores."""
    target = _kept(folder).get(TARGET)
    try:
        return target not in (None, target_of(options_of(folder)))
    except UserError:
        return True


def _kept(folder: Path) -> dict[str, Any]:
    file = folder / OPTIONS
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def is_tuned(folder: Path) -> bool:
    """Whether a graph's directory has a library."""
    return all((folder / name).is_file() for name in ("model.so", "summary.json"))


def waiting() -> list[Path]:
    """Returns the directories of the graphs that wait for being tuned, the oldest first."""
    programs = [path for path in cache().glob(f"*/{PROGRAM}") if not is_tuned(path.parent)]
    return [path.parent for path in sorted(programs, key=lambda path: path.stat().st_mtime)]
