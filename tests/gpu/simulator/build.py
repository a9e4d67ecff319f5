"""Builds the simulated GPUs: the libraries that NVIDIA's driver, runtime and compiler would be.

What is built lies in a folder that is named after the sources, so it is built once.
"""

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCES = Path(__file__).parent
SHARED = ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", "-fno-gnu-unique", "-Wall", "-Wextra"]
KERNEL = [
    *("g++", "-std=c++17", "-Og", "-w", "-fPIC", "-fno-exceptions", "-fcf-protection=none"),
    *("-mf16c", "-mavx2", "-mfma", "-ffp-contract=off"),
]
"""Compiles a kernel for the CPU, in half the time that ``-O1`` takes where loops are unrolled."""
COUNTED = (
    *("-O1", "-fsanitize=kernel-address", "--param=asan-instrumentation-with-call-threshold=0"),
    *("--param=asan-stack=0", "--param=asan-globals=0", "-fno-tree-sra", "-fno-tree-fre"),
    *("-fno-tree-dse", "-fno-tree-dominator-opts"),
)
"""Compiles a kernel with a call before each access to memory; see ``counters.h``."""
DRIVER = (
    *("driver", "machine", "faults", "errors", "memory", "stream", "binary", "module"),
    *("launch", "block", "copies", "counters", "clock"),
)
CUDA = Path("nvidia", "cu13")
CUDA_H = "include/cuda.h"


@dataclass(frozen=True)
class Simulator:
    """A built simulator.

    Attributes:
        libraries: Folder for the loader's path, with the driver and its management library.
        runtime: Folder for Python's path, with CUDA's runtime where NVIDIA's wheel has it.
        compiler: The same with NVRTC.
    """

    libraries: Path
    runtime: Path
    compiler: Path


def missing() -> str:
    """Returns what the simulator needs and this machine lacks, as a sentence; empty if nothing."""
    if platform.machine() != "x86_64":
        return "the simulated GPU needs a CPU of the kind x86-64"
    if shutil.which("g++") is None:
        return "the simulated GPU is compiled by g++, which is missing"
    needed = ("lib/libnvrtc.so.13", CUDA_H)
    if importlib.util.find_spec("cuda") is None or not all(map(nvidia, needed)):
        return "the simulated GPU needs NVIDIA's compiler: pip install '.[cuda]'"
    return ""


def nvidia(name: str) -> Path | None:
    """Returns a file or folder of NVIDIA's wheels; None where it is not installed."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(one, "cu13") for one in (spec.submodule_search_locations or ())] if spec else []
    return next((root / name for root in roots if (root / name).exists()), None)


def headers() -> Path:
    """Returns the folder of CUDA's headers, which not every one of NVIDIA's wheels has."""
    found = nvidia(CUDA_H)
    assert found is not None
    return found.parent


def build(cache: Path) -> Simulator:
    """Builds the simulator below a folder, unless it is there; returns where its parts are."""
    place = cache / f"simulated-gpu-{digest()}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix="building-") as folder:
            made = Path(folder, "made")
            made.mkdir()
            _build(made, place)
            try:
                made.rename(place)
            except OSError:  # another process was faster
                if not place.exists():
                    raise
    return Simulator(place / "lib", place / "runtime", place / "compiler")


def digest() -> str:
    """Returns a digest of all that the built libraries depend on."""
    files = sorted(file for file in SOURCES.rglob("*") if file.suffix in (".cpp", ".h", ".py"))
    version = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    found = hashlib.sha256(version + f"{sys.executable} {headers()}".encode())
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _build(made: Path, place: Path) -> None:
    """Builds all of it on all cores."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        parts = [threads.submit(one, made, place) for one in (_driver, _kernels, _others)]
        for part in parts:
            part.result()


def _driver(made: Path, _: Path) -> None:
    """The driver, and the runtime that calls it."""
    folder = made / "runtime" / CUDA / "lib"
    folder.mkdir(parents=True)
    versions, included = made / "versions", f"-I{headers()}"
    versions.write_text("libcudart.so.13 { global: *; };\n")
    driver = made / "lib" / "libcuda.so.1"
    _library(driver, DRIVER, included, "-fnon-call-exceptions")
    cudart = made / "lib" / "libcudart.so.13"
    _library(cudart, ["runtime"], included, str(driver), f"-Wl,--version-script={versions}")
    os.link(cudart, folder / cudart.name)


def _others(made: Path, place: Path) -> None:
    """The management library, and the compiler."""
    folder = made / "compiler" / CUDA / "lib"
    folder.mkdir(parents=True)
    hidden = "-fvisibility=hidden"
    _library(made / "lib" / "libnvidia-ml.so.1", ("nvml", "machine", "faults"), hidden)
    _library(
        *(folder / "libnvrtc.so.13", ["nvrtc"], f"-I{headers()}", hidden),
        f'-DREAL_NVRTC="{nvidia("lib/libnvrtc.so.13")}"',
        f'-DPYTHON="{sys.executable}"',
        f'-DTRANSLATE="{place / "translate.py"}"',
    )


def _library(library: Path, names: tuple[str, ...] | list[str], *options: str) -> None:
    library.parent.mkdir(exist_ok=True)
    sources = [str(SOURCES / f"{name}.cpp") for name in names]
    named = f"-Wl,-z,defs,-soname,{library.name}"
    _run([*SHARED, "-o", str(library), named, *sources, *options, "-ldl"])


def _kernels(made: Path, place: Path) -> None:
    """Puts down what compiles kernels: the translator, and the headers, compiled beforehand.

    g++ takes the one of the compiled headers whose options are those of the kernel.
    """
    for script in SOURCES.glob("*.py"):
        shutil.copy(script, made)
    shutil.copytree(SOURCES / "kernel", made / "kernel")
    header, beforehand = made / "kernel" / "kernel.h", made / "kernel" / "kernel.h.gch"
    beforehand.mkdir()
    for name, options in {"plain": (), "counted": COUNTED}.items():
        _run([*KERNEL, *options, "-x", "c++-header", "-o", str(beforehand / name), str(header)])
    compile_kernel = [*KERNEL, "-shared", "-include", str(place / "kernel" / "kernel.h")]
    settings = {"compile": compile_kernel, "counted": COUNTED}
    (made / "settings.json").write_text(json.dumps(settings))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
