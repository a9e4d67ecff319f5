"""The imported model that every importer gives, its digest, and the reason of an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chameleon_ray.compiler.frontend.inputs import InputSpec

if TYPE_CHECKING:
    from tvm.ir import IRModule


@dataclass(frozen=True, eq=False)
class Model:
    """An imported model.

    Attributes:
        name: Name for people and for files.
        module: Relax module whose ``main`` takes ``inputs`` in order; weights are constants.
        inputs: The inputs, all with a static shape and a type.
        digest: Hash of structure and weights (16 hex digits).
        examples: Example inputs, one array per input, the same for the same seed.
        reference: Outputs of the source framework for the examples, one array each; None where it
            could not be run.
        reference_name: Name of the source framework, such as ``torch`` or ``onnxruntime``; None
            where it could not be run.
    """

    name: str
    module: IRModule
    inputs: tuple[InputSpec, ...]
    digest: str
    examples: tuple[np.ndarray, ...]
    reference: tuple[np.ndarray, ...] | None
    reference_name: str | None


def digest(module: IRModule) -> str:
    """Names a module by structure and weights (16 hex digits)."""
    import tvm_ffi

    return f"{tvm_ffi.structural_hash(module) % (1 << 64):016x}"


def reason(error: Exception) -> str:
    """Returns the last line of an error's message, where TVM and torch say what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if len(lines) == 1 else next(iter(reversed(lines)), type(error).__name__)
    return text.rstrip(".")[:300]
