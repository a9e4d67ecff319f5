"""A graph's library from a store, compiled at once where the store knows layers of the graph."""

import fcntl
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from chameleon_ray.api.stored_model import compile_stored
from chameleon_ray.folder_lock import opened
from chameleon_ray.interface.graph_cache import PROGRAM, is_tuned
from chameleon_ray.interface.tuning import request_of
from chameleon_ray.report.summary import write_text
from chameleon_ray.store.store import open_store

PART = "part"
"""Directory, in a graph's own, of a library that has the default schedule in some layers."""
KNOWN = "known.json"
"""File in it: how much the store knew of the graph, how many entries it had, and who is faster."""


def from_store(folder: Path, options: Mapping[str, Any]) -> Path | None:
    """Returns the directory of a library that a store's winners make of a graph.

    It is the graph's own where the store knows nearly all of its operations. None is returned where
    it knows no layer. A store that has got entries since is asked again.

    Args:
        folder: The graph's directory, with its program.
        options: Options of ``tune``.

    Raises:
        UserError: The graph cannot be imported or compiled.
        OSError: The cache cannot be written.
    """
    given = {name: value for name, value in options.items() if name != "quiet"}
    request = replace(request_of(given), model=str(folder / PROGRAM))
    store = open_store(request.store, request.storing, installed=True)
    entries = 0 if store is None else len(store.entry_keys())
    if not entries or "cuda" in request.target:
        return None
    part = folder / PART
    part.mkdir(exist_ok=True)
    with opened(part / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be compiling it
        if not is_tuned(folder) and _known(part)["entries"] != entries:
            stored = compile_stored(request, folder, part)
            write_text(part / KNOWN, json.dumps({"entries": entries, **asdict(stored)}))
    if is_tuned(folder):
        return folder
    return part if is_tuned(part) else None


def told(part: Path) -> str:
    """Returns a sentence for people about how many layers of a graph the store knew."""
    found = _known(part)
    return (
        f"The store knows {found['known']} of {found['layers']} layers of a graph; chameleon "
        "pending tunes the others."
    )


def is_preferred(part: Path, is_faster: Callable[[], bool]) -> bool:
    """Whether a library with untuned layers was faster than torch when that was first asked.

    Args:
        part: The library's directory.
        is_faster: Times both.
    """
    found = _known(part)
    if "faster" not in found:
        found["faster"] = is_faster()
        write_text(part / KNOWN, json.dumps(found))
    return bool(found["faster"])


def _known(part: Path) -> dict[str, Any]:
    file = part / KNOWN
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {"entries": 0}
