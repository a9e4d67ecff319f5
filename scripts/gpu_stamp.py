"""What results of ``gpu_check.py`` were made from, so that none outlives a change of the code."""

import hashlib
import json
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from gpu_parts import PARTS
from gpu_report import Report

import chameleon_ray

FILE = "sources.json"
ENDINGS = {".py", ".c", ".h"}


@cache
def stamp() -> str:
    """Names the sources of the package and of these scripts, and TVM (12 hex digits)."""
    name, scripts = hashlib.sha256(version("apache-tvm").encode()), Path(__file__).parent
    package = Path(chameleon_ray.__file__).parent
    files = [path for path in package.rglob("*") if path.suffix in ENDINGS]
    for file in (*sorted(files), *sorted(scripts.glob("gpu_*.py"))):
        name.update(file.name.encode() + file.read_bytes())
    return name.hexdigest()[:12]


def stamped(folder: Path) -> tuple[str, list[str]]:
    """The stamp of a folder of kernels, empty where it has none, and the words that chose them."""
    path = folder / FILE
    fields = json.loads(path.read_text()) if path.exists() else {}
    return fields.get("sources", ""), fields.get("only", [])


def renewed(report: Report, only: Sequence[str], arch: str) -> None:
    """Takes out of a report what is of other sources, and has parts run for other kernels.

    Parts that do not depend on the sources stay, and so do entries of other kernels.

    Args:
        report: The report.
        only: Words that choose the kernels; none for all.
        arch: Architecture that kernels are compiled for; empty for this machine's.
    """
    parts, fields = report.fields.setdefault("parts", {}), report.fields
    if (fields.get("sources"), fields.get("arch", arch)) != (stamp(), arch):
        for name in [name for name in parts if not PARTS[name].plain]:
            del parts[name]
    if fields.get("only", []) != list(only):
        for name in ("build", "kernels"):
            parts.get(name, {}).pop("status", None)
    fields.update(sources=stamp(), only=list(only), arch=arch)


def claim(folder: Path, only: Sequence[str]) -> None:
    """Stamps a folder before kernels go there; those of other sources are deleted.

    Args:
        folder: The folder, which exists.
        only: Words that choose the kernels; none for all.
    """
    before, words = stamped(folder)
    if before != stamp():
        for file in folder.glob("*.kernels"):
            file.unlink()
    elif words and only:
        only = sorted({*words, *only})
    else:
        only = () if before else only
    (folder / FILE).write_text(json.dumps({"sources": stamp(), "only": list(only)}) + "\n")


def demand_same(folder: Path) -> None:
    """Ends the script with one sentence where kernels in a folder are of other sources."""
    found, now = stamped(folder)[0], stamp()
    if found != now and any(folder.glob("*.kernels")):
        sys.exit(
            f"Error: the kernels in {folder} were made by other sources ({found or 'no stamp'}, "
            f"these are {now}); make them anew with --build-only."
        )
