"""Tells the glue where a vendor's libraries may be, besides the places that the loader knows."""

import os

from chameleon_ray.compiler.tvm_process import nvidia_wheels

PATH = "CHAMELEON_VENDOR_PATH"
"""Environment variable with folders, separated by colons, in which the glue looks for libraries."""


def look_in_wheels() -> None:
    """Adds the folders of NVIDIA's wheels, unless the user names folders; nothing is loaded."""
    roots = [folder for root in nvidia_wheels() for folder in (root, root.with_name("cudnn"))]
    if PATH not in os.environ and roots:
        os.environ[PATH] = ":".join(str(root / "lib") for root in roots)
