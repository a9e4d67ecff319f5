"""The digest of the sources that make a layer's design space and its code, and that time it."""

import hashlib
from functools import cache
from pathlib import Path

PARTS = ("*.py", "codegen/**/*", "kinds/**/*", "runtime/*", "spaces/**/*")
"""Files below this folder on which a configuration's meaning, code and latency depend.

Importers and passes are left out: what they make of a layer is in the layer's own digest.
"""
WHOLE = frozenset({
    *("apply.py", "entries.py", "gpu_versions.py", "model_host.py", "model_jobs.py", "prepared.py"),
    *("runtime/callable_model.py", "runtime/compared_library.py", "sources.py", "winners_pass.py"),
    *("runtime/model_bench.py", "runtime/model_profile.py"),
})  # fmt: skip
"""Those of these files that put layers together or run whole models, or tell versions."""
OWN = {
    "cuda": (
        *("codegen/cuda_*", "codegen/*barriers.py", "codegen/async_copies.py"),
        *("codegen/default_schedule.py", "codegen/vendor*", "codegen/vendor/*"),
        *("codegen/workspaces.py", "kinds/cuda.py", "runtime/cuda*", "runtime/gpu_*"),
        *("runtime/layer_reference.py", "spaces/gpu_limits.py", "spaces/templates/cuda_*"),
        *("spaces/vendor/*", "tensor_cores.py", "vendor_path.py"),
    ),
    "llvm": (
        *("kinds/llvm.py", "spaces/templates/cpu_attention.py", "spaces/templates/cpu_integer.py"),
        *("spaces/templates/cpu_packed.py", "spaces/templates/cpu_rows.py"),
    ),
}
"""Patterns of the files of one kind of target, which layers for others do not depend on."""
ENDINGS = {".py", ".c", ".h"}


def sources(folder: Path, kind: str = "") -> list[Path]:
    """Returns the files of ``compiler``, the folder given, that the digest is of, in order.

    Args:
        folder: The folder.
        kind: Kind of the layers' targets; empty for all kinds.
    """
    files = {file for part in PARTS for file in folder.glob(part) if file.suffix in ENDINGS}
    others = [own for other, own in OWN.items() if kind not in ("", other)]
    left = {file for own in others for pattern in own for file in folder.glob(pattern)}
    return sorted(file for file in files - left if str(file.relative_to(folder)) not in WHOLE)


@cache
def digest_of_sources(kind: str) -> str:
    """Names the sources of one kind of target by their content (12 hex digits)."""
    folder, name = Path(__file__).parent, hashlib.sha256()
    for file in sources(folder, kind):
        name.update(f"{file.relative_to(folder)}\n".encode())
        name.update(file.read_bytes())
    return name.hexdigest()[:12]
