"""Where TVM's own compilation of CUDA finds headers and libraries: in a toolkit, or in wheels."""

import os
from pathlib import Path

from chameleon_ray.compiler.codegen import cuda_compiler


def cuda_roots() -> list[Path]:
    """The folders that hold CUDA's headers and libraries, those that TVM can compile with first.

    The headers of CUDA's own C++ library (``cccl``) are among what TVM's source includes. Not every
    place has them: they are a wheel of their own.
    """
    places = cuda_compiler.cuda_roots()
    found = [root for root in places if (root / "include" / "cuda_runtime.h").exists()]
    return sorted(dict.fromkeys(found), key=lambda root: not (root / "include" / "cccl").exists())


def toolkit() -> dict[str, str]:
    """The environment in which TVM's own compilation finds CUDA; empty where there is none.

    The compiler may lie in another place than the headers.
    """
    roots = cuda_roots()
    if not roots:
        return {}
    first, *others = roots
    folders = [first / "include" / "cccl", *(root / "include" for root in others)]
    places = dict.fromkeys([*roots, *cuda_compiler.cuda_roots()])
    found = [root / name for root in places for name in ("lib", "lib64")]
    libraries = [str(folder) for folder in found if folder.is_dir()]
    return {
        "CUDA_PATH": str(first),
        "TVM_CUDA_NVRTC_EXTRA_OPTS": " ".join(f"--include-path={one}" for one in folders),
        "LD_LIBRARY_PATH": os.pathsep.join(
            [*filter(None, [os.environ.get("LD_LIBRARY_PATH")]), *libraries]
        ),
    }
