"""TVM's CUDA runtime in a process that compiles models on a machine without a GPU.

TVM's module of a GPU's binary is in its CUDA runtime, which is linked to NVIDIA's driver. Where it
is missing, TVM writes CUDA source into a model, and whoever loads the model has to compile it. Here
libraries that are missing get stand-ins, whose functions all return an error. TVM generates their
code, and the linker that writes models makes libraries of it.
"""

import ctypes
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import tvm
import tvm_ffi

from chameleon_ray.compiler.codegen.cuda_library import CREATE
from chameleon_ray.compiler.codegen.link import link
from chameleon_ray.compiler.tvm_process import CUDART, DRIVER, load_nvidia
from chameleon_ray.errors import UserError

RUNTIME = "libtvm_runtime_cuda.so"
LIBRARIES = {DRIVER: rb"cu[A-Z]\w*", CUDART: rb"cuda[A-Z]\w*"}
"""NVIDIA's libraries that TVM's CUDA runtime is linked to, and patterns of the functions' names."""
STAND_IN = 34
"""Error that the functions return, which CUDA has for this: ``CUDA_ERROR_STUB_LIBRARY``."""


class RuntimeLibraryError(UserError):
    """TVM's CUDA runtime cannot be loaded, in one sentence that says what to do."""


def demand_runtime() -> None:
    """Loads TVM's CUDA runtime, over stand-ins where NVIDIA's libraries are missing.

    In a process with stand-ins TVM sees no GPU, and nothing can be run on one. Libraries that are
    loaded later get the stand-ins, too.

    Raises:
        LinkError: There is no linker to make stand-ins with, or it failed.
        RuntimeLibraryError: The runtime cannot be loaded all the same.
    """
    if tvm_ffi.get_global_func(CREATE, allow_missing=True) is not None:
        return
    folders = tvm.libinfo.package_lib_paths()
    runtime = next((path for path in (f / RUNTIME for f in folders) if path.exists()), None)
    if runtime is None:
        raise RuntimeLibraryError(
            f"TVM has no {RUNTIME} here, which models for GPUs are written with; "
            "install the wheel apache-tvm."
        )
    content = runtime.read_bytes()
    try:
        for library, pattern in LIBRARIES.items():
            if load_nvidia(library):
                names = re.findall(rb"(?<=\0)%b(?=\0)" % pattern, content)
                _stand_in(library, sorted({name.decode() for name in names}))
        ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise RuntimeLibraryError(
            f"TVM's CUDA runtime cannot be loaded to write the model with ({error}); install "
            "NVIDIA's driver on this machine."
        ) from error


def _stand_in(library: str, functions: list[str]) -> None:
    """Makes a library with these functions, and loads it under the name of one of NVIDIA's."""
    with TemporaryDirectory(prefix="chameleon-") as folder:
        code, compiled = Path(folder, "functions.ll"), Path(folder, "functions.o")
        versions, made = Path(folder, "versions"), Path(folder, library)
        bodies = (f"define i32 @{name}() {{ ret i32 {STAND_IN} }}\n" for name in functions)
        code.write_text("".join(bodies))
        tvm.runtime.load_module(str(code)).write_to_file(str(compiled), "o")
        versions.write_text(f"{library} {{ global: *; }};\n")
        flags = (f"-soname={library}", f"--version-script={versions}")
        link(str(made), [str(compiled)], flags=flags)
        ctypes.CDLL(str(made), mode=ctypes.RTLD_GLOBAL)
