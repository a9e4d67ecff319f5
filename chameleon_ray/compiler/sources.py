"""The digest of the sources that make a layer's design space and its code, and that time it."""

import hashlib
from functools import cache
from pathlib import Path

PARTS = ("*.py", "codegen/**/*", "kinds/**/*", "runtime/*", "spaces/**/*")
"""Files below this folder on which a configuration's meaning, code and latency depend.

Importers and passes are left out: what they make of a layer is in the layer's own digest.
"""
ENDINGS = {".py", ".c", ".h"}


@cache
def digest_of_sources() -> str:
    """Names the sources by their content (12 hex digits)."""
    folder, name = Path(__file__).parent, hashlib.sha256()
    files = {file for part in PARTS for file in folder.glob(part) if file.suffix in ENDINGS}
    for file in sorted(files):
        name.update(f"{file.relative_to(folder)}\n".encode())
        name.update(file.read_bytes())
    return name.hexdigest()[:12]
