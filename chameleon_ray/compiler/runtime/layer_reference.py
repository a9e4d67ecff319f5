"""The outputs to expect of a layer of 16-bit floats or TF32, as a CPU computes them.

Such layers add up in float32, so their loops, in the order in which they stand and compiled by
LLVM, are a reference that owes nothing to the schedules and the compiler of a GPU.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chameleon_ray.compiler.runtime.layer_precision import layer_precision
from chameleon_ray.measure.precision import SHORT, TF32


class LayerReference:
    """Computes the reference of the layer asked for last, and keeps it."""

    def __init__(self) -> None:
        self._program, self._outputs = b"", list[np.ndarray]()

    def outputs(
        self, program: bytes, arrays: Sequence[np.ndarray], most_flop: float
    ) -> list[np.ndarray]:
        """Returns a layer's buffers after one execution on this machine's CPU.

        Args:
            program: The layer, as a program.
            arrays: Its buffers before.
            most_flop: Most floating-point operations that are worth the time.

        Returns:
            The buffers; empty where another kernel of the layer is a reference as good, as is the
            case in float32, where the layer is larger than that, or where LLVM cannot compile it.
        """
        if layer_precision(program).dtype not in (*SHORT, TF32):
            return []
        if program != self._program:
            self._outputs = _executed(program, arrays, most_flop)
            self._program = program
        return self._outputs


def _executed(program: bytes, arrays: Sequence[np.ndarray], most_flop: float) -> list[np.ndarray]:
    import tvm

    from chameleon_ray.compiler.spaces.sketch import Program

    module: Any = Program.loads(program).module
    if float(tvm.s_tir.analysis.estimate_tir_flops(module)) > most_flop:
        return []
    cpu = tvm.target.codegen.llvm_get_system_cpu()
    try:
        library = tvm.compile(module, tvm.target.Target({"kind": "llvm", "mcpu": cpu}))
    except RuntimeError:  # as is any error that crosses TVM; a GPU's own functions may be called
        return []
    buffers = [tvm.runtime.tensor(array) for array in arrays]
    library["main"](*buffers)
    return [buffer.numpy() for buffer in buffers]
