"""The digest of the sources that make a layer's design space and its code, and that time it."""

import hashlib
from functools import cache
from pathlib import Path

PARTS = ("*.py", "codegen/**/*", "kinds/**/*", "runtime/*", "spaces/**/*")
"""Files below this folder on which a configuration's meaning, code and latency depend.

Importers and passes are left out: what they make of a layer is in the layer's own digest.
"""
WHOLE = frozenset({
    *("apply.py", "entries.py", "model_host.py", "model_jobs.py", "prepared.py"),
    *("runtime/callable_model.py", "runtime/compared_library.py", "sources.py", "winners_pass.py"),
    *("runtime/model_bench.py", "runtime/model_profile.py"),
})  # fmt: skip
"""Those of these files that put layers together or run whole models, which no other one imports."""
ENDINGS = {".py", ".c", ".h"}


def sources(folder: Path) -> list[Path]:
    """Returns the files of ``compiler``, the folder given, that the digest is of, in order."""
    files = {file for part in PARTS for file in folder.glob(part) if file.suffix in ENDINGS}
    return sorted(file for file in files if str(file.relative_to(folder)) not in WHOLE)


@cache
def digest_of_sources() -> str:
    """Names the sources by their content (12 hex digits)."""
    folder, name = Path(__file__).parent, hashlib.sha256()
    for file in sources(folder):
        name.update(f"{file.relative_to(folder)}\n".encode())
        name.update(file.read_bytes())
    return name.hexdigest()[:12]
