"""Linking: object files in, a shared library out, by whatever linker the machine has."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from chameleon_ray.errors import UserError

LINKERS = ("cc", "gcc", "clang", "ld")
QUICKEST = LINKERS[::-1]
"""In this order where all that is linked is a layer: a compiler calls ``ld`` by way of others."""


class LinkError(UserError):
    """The tuned model cannot be written, in one sentence that says what to do."""


def linker(names: Sequence[str] = LINKERS) -> str | None:
    """The first of these linkers that this machine has."""
    return next(filter(None, map(shutil.which, names)), None)


def find_linker(names: Sequence[str] = LINKERS) -> str:
    """The same where there has to be one.

    Raises:
        LinkError: There is none on this machine.
    """
    found = linker(names)
    if found is not None:
        return found
    raise LinkError(
        "There is no linker on this machine to write the tuned model with; install one, for "
        "example with: apt-get install binutils"
    )


def link(output: str, objects: list[str], names: Sequence[str] = LINKERS, **_: Any) -> None:
    """What TVM's ``export_library`` calls to make a shared library of object files."""
    done = subprocess.run(
        [find_linker(names), "-shared", "-o", output, *objects], capture_output=True, text=True
    )
    if done.returncode:
        said = "; ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
        raise LinkError(f"Linking {output} failed: {said[-400:]}")


link.output_format = "so"  # type: ignore[attr-defined]
