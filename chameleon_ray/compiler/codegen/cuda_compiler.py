"""Compiles CUDA source to a binary for a GPU that need not be there.

NVRTC compiles inside this process, which stays warm. ``nvcc`` is started for every kernel; it is
for machines where NVRTC is missing or too new for the GPU. Neither is told to use fast math.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from chameleon_ray.compiler.nvidia import capability
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.compiler.tvm_process import load_nvidia, nvidia_wheels
from chameleon_ray.compiler.vendor_path import NVRTC

INSTALL = "install NVIDIA's compiler with: pip install 'chameleon_ray[cuda]'"
PREAMBLE = re.compile(r"#ifdef __CUDACC_RTC__\n.*?\n#else\n.*?\n#endif\n", re.DOTALL)
"""Pattern of TVM's first lines: headers of the C++ library, which take seconds to parse."""
PROLOGUE = """\
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define __asm__ asm
#define __volatile__ volatile
#define INFINITY __int_as_float(0x7f800000)
"""
"""Definitions from the C++ library's headers that generated kernels need."""
TOOLKIT = Path("/usr/local/cuda")
"""Folder into which NVIDIA's installers put the toolkit."""
REPORT = "-v"
"""Option that makes ptxas report the resources of a kernel."""


class CompileError(Exception):
    """The compiler turned a kernel down, with its words."""


@dataclass(frozen=True)
class Binary:
    """Compiled kernels: an ELF file for one architecture, and the report of ptxas."""

    code: bytes
    report: str


class CudaCompiler(Protocol):
    """Compiles for one architecture."""

    name: str

    def compile(self, source: str) -> Binary:
        """Compiles CUDA source to a binary.

        Raises:
            CompileError: The compiler does not accept it.
        """
        ...


def compiler_for(arch: str) -> CudaCompiler:
    """Returns NVRTC where it is installed and knows the architecture, else nvcc.

    Raises:
        TargetError: There is neither.
    """
    nvrtc = _nvrtc()
    supported = _supported(nvrtc) if nvrtc is not None else ()
    if capability(arch) in supported:
        return Nvrtc(nvrtc, arch)
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        return Nvcc(nvcc, arch)
    if nvrtc is None:
        raise TargetError(f"Nothing on this machine can compile for {arch}; {INSTALL}.")
    known = ", ".join(f"sm_{number}" for number in supported)
    raise TargetError(
        f"The installed NVRTC compiles for {known}, but not for {arch}; install an nvcc that does."
    )


def demand() -> None:
    """Raises ``TargetError`` where nothing can compile for any GPU."""
    if _nvrtc() is None and shutil.which("nvcc") is None:
        raise TargetError(f"Nothing on this machine can compile for a GPU; {INSTALL}.")


def summary() -> str:
    """Tells in words what this machine can compile for."""
    nvrtc, nvcc = _nvrtc(), shutil.which("nvcc")
    if nvrtc is None:
        return "kernels are compiled by nvcc" if nvcc else f"to compile kernels {INSTALL}"
    _, major, minor = nvrtc.nvrtcVersion()
    names = [f"sm_{number}" for number in _supported(nvrtc)]
    return f"kernels are compiled by NVRTC {major}.{minor}, for {names[0]} to {names[-1]}"


class Nvrtc:
    """NVIDIA's compiler as a library."""

    def __init__(self, nvrtc: Any, arch: str) -> None:
        self.name, self._nvrtc = "NVRTC", nvrtc
        options = [
            f"--gpu-architecture={arch}",
            *("--minimal", "--disable-warnings", "-default-device", "--device-int128"),
            f"--ptxas-options={REPORT}",
            *(f"--include-path={folder}" for folder in header_folders()),
        ]
        self._options = [option.encode() for option in options]

    def compile(self, source: str) -> Binary:
        """Compiles in this process; see ``CudaCompiler``."""
        nvrtc, text = self._nvrtc, plain(source).encode()
        _, program = nvrtc.nvrtcCreateProgram(text, b"kernel.cu", 0, None, None)
        try:
            (status,) = nvrtc.nvrtcCompileProgram(program, len(self._options), self._options)
            report = self._read("ProgramLog", program).decode(errors="replace").strip("\0\n ")
            if int(status):
                raise CompileError(report or str(status))
            return Binary(self._read("CUBIN", program), report)
        finally:
            nvrtc.nvrtcDestroyProgram(program)

    def _read(self, what: str, program: Any) -> bytes:
        _, size = getattr(self._nvrtc, f"nvrtcGet{what}Size")(program)
        body = bytearray(size)
        getattr(self._nvrtc, f"nvrtcGet{what}")(program, body)
        return bytes(body)


class Nvcc:
    """NVIDIA's compiler as a command."""

    def __init__(self, nvcc: str, arch: str) -> None:
        self.name = "nvcc"
        self._command = [nvcc, "--cubin", f"--gpu-architecture={arch}", "--disable-warnings"]
        self._command += [f"--ptxas-options={REPORT}"]

    def compile(self, source: str) -> Binary:
        """Compiles in a new process; see ``CudaCompiler``."""
        with TemporaryDirectory() as folder:
            kernel, binary = Path(folder, "kernel.cu"), Path(folder, "kernel.cubin")
            kernel.write_text(source)
            done = subprocess.run(
                [*self._command, "--output-file", str(binary), str(kernel)],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise CompileError(done.stderr.strip())
            return Binary(binary.read_bytes(), done.stderr.strip())


def plain(source: str) -> str:
    """Removes the C++ library from TVM's CUDA source if a kernel needs no more of it than types."""
    short, count = PREAMBLE.subn(PROLOGUE, source, count=1)
    return short if count and "std::" not in short else source


def header_folders() -> list[str]:
    """Returns the folders of CUDA's headers, in all places where there are any.

    Wheels may lie in several places, as one that holds ``cuda_fp16.h`` and another that holds
    ``crt/mma.h``, which the first one's ``mma.h`` includes. The C++ library's folders come last.
    """
    roots = cuda_roots()
    folders = [root / "include" for root in roots] + [root / "include/cccl" for root in roots]
    return list(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))


def cuda_roots() -> list[Path]:
    """Returns where parts of CUDA may lie: wheels first, as NVRTC's version is theirs, toolkits."""
    named = [Path(os.environ[name]) for name in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(name)]
    return [*nvidia_wheels(), *named, TOOLKIT]


def _nvrtc() -> Any:
    """Returns the bindings of NVRTC; None where they or the library are missing."""
    for library in NVRTC:
        load_nvidia(library)
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except Exception:  # whatever the bindings raise where the library is missing
        return None
    return nvrtc


def _supported(nvrtc: Any) -> tuple[int, ...]:
    return tuple(nvrtc.nvrtcGetSupportedArchs()[1])
