"""Tells the glue where a vendor's libraries may be, besides the places that the loader knows."""

import os
from functools import cache

from chameleon_ray.compiler.tvm_process import load_nvidia, nvidia_wheels

PATH = "CHAMELEON_VENDOR_PATH"
"""Environment variable with folders, separated by colons, in which the glue looks for libraries."""
NVRTC = ("libnvrtc-builtins.so.13.*", "libnvrtc.so.13")
"""NVIDIA's compiler, which cuDNN opens by its name for the kernels that it compiles itself."""


@cache
def look_in_wheels() -> None:
    """Adds the folders of NVIDIA's wheels, unless the user names folders.

    Where one of them has cuDNN, the compiler that is in the wheels is loaded, as cuDNN would not
    find it there.
    """
    roots = [folder for root in nvidia_wheels() for folder in (root, root.with_name("cudnn"))]
    if PATH not in os.environ and roots:
        os.environ[PATH] = ":".join(str(root / "lib") for root in roots)
    if any(list(root.glob("lib/libcudnn.so.*")) for root in roots):
        for library in NVRTC:
            load_nvidia(library)
