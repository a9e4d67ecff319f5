"""Tuned graphs of ``torch.compile`` in the user's cache, and those that wait for being tuned.

A graph has a directory named by all that its library depends on. It is that of a run: first with
the graph alone, which then waits, at last with the library.
"""

import hashlib
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from chameleon_ray import __version__

PROGRAM = "graph.pt2"
"""File of a graph, as ``torch.export.save`` writes it."""


def cache() -> Path:
    """Returns the folder of all graphs, below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "chameleon_ray" / "graphs"


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


def is_tuned(folder: Path) -> bool:
    """Whether a graph's directory has a library."""
    return all((folder / name).is_file() for name in ("model.so", "summary.json"))


def waiting() -> list[Path]:
    """Returns the directories of the graphs that wait for being tuned, the oldest first."""
    programs = [path for path in cache().glob(f"*/{PROGRAM}") if not is_tuned(path.parent)]
    return [path.parent for path in sorted(programs, key=lambda path: path.stat().st_mtime)]
