"""The imported model that every importer gives, its digest, and the reason of an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.measure.example import Example

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
        examples: Inputs and the outputs to expect of them, the same for the same seed. The first
            one is timed, all are verified.
        reference_name: Name of what computed these outputs, such as ``torch`` or ``ONNX Runtime``,
            and is independent of TVM; None where nothing could, and the examples have no outputs.
        outputs: Names of the outputs, in order; may be empty where they have none.
    """

    name: str
    module: IRModule
    inputs: tuple[InputSpec, ...]
    digest: str
    examples: tuple[Example, ...]
    reference_name: str | None
    outputs: tuple[str, ...] = ()


def digest(module: IRModule) -> str:
    """Names a module by structure and weights (16 hex digits)."""
    import tvm_ffi

    return f"{tvm_ffi.structural_hash(module) % (1 << 64):016x}"


def reason(error: Exception) -> str:
    """Returns the last line of an error's message, where TVM and torch say what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if len(lines) == 1 else next(iter(reversed(lines)), type(error).__name__)
    return text.rstrip(".")[:300]
