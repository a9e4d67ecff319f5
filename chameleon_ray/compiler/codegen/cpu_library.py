"""Compiles scheduled layers for CPUs, to LLVM IR or to shared libraries.

A builder optimises and hands over LLVM IR. The runner's core, idle at that moment, generates the
machine code when it loads the layer. That needs no linker, and halves what one core compiles. Where
a machine has many builders, they generate the machine code as well, and hand over a shared library.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chameleon_ray.compiler.codegen.link import QUICKEST, link
from chameleon_ray.compiler.tvm_process import UNCHECKED
from chameleon_ray.measure.measurer import Artifact


def compile_layer(module: Any, target: Any, linked: bool) -> Artifact:
    """Compiles a scheduled layer: to a shared library if ``linked``, else to LLVM IR."""
    import tvm

    with tvm.transform.PassContext(opt_level=3, config=UNCHECKED):
        library = tvm.compile(module, target=target)
    form = "o" if linked else "ll"
    with TemporaryDirectory() as folder:
        made = Path(folder, f"layer.{form}")
        library.mod.write_to_file(str(made), form)
        if linked:
            link(str(made.with_suffix(".so")), [str(made)], QUICKEST)
            made = made.with_suffix(".so")
        return Artifact(made.read_bytes())
