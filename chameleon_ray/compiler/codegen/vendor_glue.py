"""The glue between TVM's code and a vendor's libraries: C, built where it is first needed.

The glue registers functions with TVM that open the libraries when they are called (``vendor/``).
Runners load it as a library of its own, from the user's cache. Models that call it have it linked
in, so they need no more than the vendor's libraries where they are loaded.
"""

import ctypes
import hashlib
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp, mkstemp
from typing import Any

import tvm_ffi
from tvm_ffi import libinfo

from chameleon_ray.cache import cache_folder
from chameleon_ray.compiler.codegen.link import GlueError, find_compiler
from chameleon_ray.compiler.vendor_path import look_in_wheels
from chameleon_ray.errors import UserError
from chameleon_ray.vendor import LIBRARIES

FOLDER = Path(__file__).with_name("vendor")
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-shared", "-Wl,-z,nodelete")
"""Options of the compiler; TVM keeps the registered functions, so the library must stay loaded."""
TROUBLE = "chameleon.vendor.v1.trouble"


@tvm_ffi.register_error("VendorUnavailable")
class VendorUnavailable(UserError, RuntimeError):
    """A library that is missing here, or that has no such algorithm for a layer."""


def library() -> Path:
    """Returns the glue as a library in the user's cache, built where it is missing.

    Processes that build it at the same time do not disturb each other.

    Raises:
        GlueError: There is no compiler, or it failed.
    """
    folder = _cache()
    path = folder / f"vendor-{_digest()}.so"
    if not path.exists():
        compiler = find_compiler()
        handle, temporary = mkstemp(suffix=".so", dir=folder)
        os.close(handle)
        try:
            _run([compiler, *FLAGS, "-o", temporary, *_arguments()])
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return path


@cache
def load() -> None:
    """Registers the glue's functions in this process.

    Raises:
        VendorUnavailable: The glue cannot be built; the text is a sentence.
    """
    look_in_wheels()
    try:
        ctypes.CDLL(str(library()))
    except GlueError as error:
        raise VendorUnavailable(str(error)) from error


def unavailable(error: Exception) -> str:
    """Returns why a vendor's library cannot run a layer; raises any other error again."""
    if not isinstance(error, VendorUnavailable):
        raise error
    return str(error)


def troubles() -> dict[str, str]:
    """Returns for each library that cannot be used here why not, in a sentence."""
    try:
        load()
    except VendorUnavailable as error:
        return dict.fromkeys(LIBRARIES, str(error))
    ask = tvm_ffi.get_global_func(TROUBLE)
    found = {name: str(ask(number)) for number, name in enumerate(LIBRARIES)}
    return {name: trouble for name, trouble in found.items() if trouble}


def linking(libraries: Sequence[str]) -> Callable[..., None]:
    """Makes a linker for ``export_library`` that links the glue into a model.

    Args:
        libraries: Libraries that the model's layers call, which the model then names.

    Raises:
        GlueError: There is no compiler on this machine.
    """
    compiler = find_compiler()
    named = f'-DCALLED_LIBRARIES="{", ".join(libraries)}"'

    def link(output: str, objects: list[str], **_: Any) -> None:
        _run([compiler, *FLAGS, named, "-o", output, *objects, *_arguments()])

    link.output_format = "so"  # type: ignore[attr-defined]
    return link


def _arguments() -> list[str]:
    """Returns the arguments of the compiler that name sources, headers and libraries."""
    ffi = Path(libinfo.find_libtvm_ffi())
    folders = [f"-I{path}" for path in libinfo.include_paths()]
    own = [str(path) for path in sorted(FOLDER.glob("*.c"))]
    return [*folders, *own, f"-L{ffi.parent}", f"-l:{ffi.name}", "-ldl", "-lpthread"]


def _digest() -> str:
    """Names the glue by all that it is built of (16 hex digits)."""
    name = hashlib.sha256(repr((tvm_ffi.__version__, platform.machine(), FLAGS)).encode())
    for path in sorted(FOLDER.iterdir()):
        name.update(path.read_bytes())
    return name.hexdigest()[:16]


@cache
def _cache() -> Path:
    """Returns this project's folder in the user's cache; a temporary one where there is none."""
    folder = cache_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(mkdtemp(prefix="chameleon_ray-"))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = "; ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
        raise GlueError(
            f"The C compiler {command[0]} cannot build what calls cuBLASLt and cuDNN "
            f"({said[-150:]}); give --no-vendor to do without."
        )
