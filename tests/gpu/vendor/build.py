"""Builds the stand-ins of cuBLASLt and cuDNN, which tests load in place of NVIDIA's."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = {"cublaslt.c": "libcublasLt.so.13", "cudnn.c": "libcudnn.so.9"}


@cache
def standins() -> Path:
    """The folder of both libraries, built once per session; skips the test without a compiler."""
    if shutil.which("cc") is None:
        pytest.skip("There is no C compiler to build the stand-ins of cuBLASLt and cuDNN with.")
    folder = Path(tempfile.mkdtemp(prefix="chameleon-vendor-"))
    for source, name in FILES.items():
        flags = ["-std=gnu11", "-O3", "-Wall", "-Werror", "-fPIC", "-shared", f"-Wl,-soname,{name}"]
        command = ["cc", *flags, "-o", str(folder / name), str(HERE / source), "-lm", "-ldl"]
        subprocess.run(command, check=True)
    return folder


def environment(folder: Path, cache_folder: Path) -> dict[str, str]:
    """The environment of a process that finds a folder's libraries, with a cache of its own."""
    return {
        **os.environ,
        "CHAMELEON_VENDOR_PATH": str(folder),
        "XDG_CACHE_HOME": str(cache_folder),
    }
