"""The Python that shows a report's reader how to load the tuned model."""

import json
import keyword
from collections.abc import Mapping, Sequence

from chameleon_ray.report.result import RunResult
from chameleon_ray.vendor import FILES, WHEEL_OF

MODEL = "model.so"
CUDART = (
    "from chameleon_ray.compiler.tvm_process import load_cudart",
    "load_cudart()  # before the first import of tvm",
)

WHEELS = (
    "from chameleon_ray.compiler.vendor_path import look_in_wheels",
    "look_in_wheels()  # for what model.so calls",
)


def needs(libraries: Sequence[str], versions: Mapping[str, str]) -> list[str]:
    """Returns a sentence for each vendor's library that a tuned model calls.

    Args:
        libraries: The libraries.
        versions: Those that the model was timed with, by the library's name, as far as known.
    """
    timed = {name: f", timed with version {version}" for name, version in versions.items()}
    return [
        f"{MODEL} calls {library}{timed.get(library, '')}: where it is loaded, {FILES[library]} "
        f"must be on the loader's path, or installed with pip install {WHEEL_OF[library]}."
        for library in libraries
    ]


def snippet(result: RunResult) -> str:
    """Returns a program that loads the model and calls it once.

    TVM and NumPy are all it needs, and for a GPU this package, which finds the CUDA runtime.
    """
    named = [(_word(name, n), shape, dtype) for n, (name, shape, dtype) in enumerate(result.inputs)]
    gpu = "cuda" in result.target
    device = "tvm.cuda()" if gpu else "tvm.cpu()"
    made = [f"{name} = np.zeros({shape}, {dtype!r})" for name, shape, dtype in named]
    passed = "".join(f", tvm.runtime.tensor({name}, device)" for name, _, _ in named)
    lines = [
        *threads_set(result.target),
        "import numpy as np",
        *(CUDART if gpu else ()),
        *(WHEELS if result.libraries else ()),
        "import tvm",
        "from tvm import relax",
        "",
        f"device = {device}",
        f"library = tvm.runtime.load_module({str(result.folder / MODEL)!r})",
        "machine = relax.VirtualMachine(library, device)  # one for each thread that calls it",
        *made,
        f'output = machine["{result.entry}"]({passed.removeprefix(", ")})',
    ]
    return "\n".join(lines)


def threads_of(target: str) -> int | None:
    """Returns the threads that a target's kernels are tuned for; None where the target is no CPU's.

    Args:
        target: Complete target, as JSON.
    """
    try:
        threads = json.loads(target)["num-cores"]
    except (ValueError, KeyError, TypeError):
        return None
    return int(threads)


def threads_set(target: str) -> list[str]:
    """Returns the lines that give TVM as many threads as the model is tuned for.

    By itself, TVM takes half of the machine's hardware threads, and binds them to its first cores,
    whichever the process may use.
    """
    threads = threads_of(target)
    if threads is None:
        return []
    told = f"tuned for {threads} thread{'s' * (threads > 1)}; before the first import of tvm"
    lines = [f'os.environ["TVM_NUM_THREADS"] = "{threads}"  # {told}']
    if threads > 1:
        lines.append('os.environ["TVM_BIND_THREADS"] = "0"  # or they are on the first cores')
    return ["import os", *lines, ""]


def _word(name: str, number: int) -> str:
    """Returns the input's own name where Python takes it and the program does not use it, too."""
    taken = {"np", "tvm", "relax", "device", "library", "machine", "output"}
    usable = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return name if usable and name not in taken else f"input_{number}"
