"""Links object files to a shared library, by whatever linker the machine has."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chameleon_ray.errors import UserError

LINKERS = ("cc", "gcc", "clang", "ld")
COMPILERS = LINKERS[:3]
"""Those of the linkers that compile C, too."""
QUICKEST = LINKERS[::-1]
"""Linkers in the best order for a single layer: a compiler calls ``ld`` by way of others."""


class LinkError(UserError):
    """The tuned model cannot be written, in one sentence that says what to do."""


class GlueError(UserError):
    """What calls a vendor's libraries cannot be built, in one sentence that says what to do."""


def linker(names: Sequence[str] = LINKERS) -> str | None:
    """Returns the first linker of ``names`` that this machine has; None where it has none."""
    return next(filter(None, map(shutil.which, names)), None)


def find_linker(names: Sequence[str] = LINKERS) -> str:
    """Returns the first linker of ``names`` that this machine has.

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


def find_compiler() -> str:
    """Returns the C compiler of this machine, which builds what calls a vendor's libraries.

    Raises:
        GlueError: There is none.
    """
    found = linker(COMPILERS)
    if found is not None:
        return found
    raise GlueError(
        "There is no C compiler on this machine to build with what calls cuBLASLt and cuDNN; "
        "install one, for example with: apt-get install gcc"
    )


def link(
    output: str,
    objects: list[str],
    names: Sequence[str] = LINKERS,
    flags: Sequence[str] = (),
    **_: Any,
) -> None:
    """Makes a shared library of object files, with the signature that ``export_library`` calls.

    Args:
        output: File of the library.
        objects: The object files.
        names: Linkers, the best one first.
        flags: Options as ``ld`` takes them, which a compiler passes on.

    Raises:
        LinkError: There is no linker, or it failed.
    """
    found = find_linker(names)
    if Path(found).name != "ld":
        flags = [f"-Wl,{flag}" for flag in flags]
    done = subprocess.run(
        [found, "-shared", "-o", output, *objects, *flags], capture_output=True, text=True
    )
    if done.returncode:
        said = "; ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
        raise LinkError(f"Linking {output} failed: {said[-200:]}")


link.output_format = "so"  # type: ignore[attr-defined]
