"""The precision of outputs: what they were computed in, and so how equal right ones are."""

from dataclasses import dataclass, replace

FLOATS = ("float64", "float32", "tf32", "float16", "bfloat16")
"""Types of floats, the finest first.

TF32 is float32 with the 10 bits of float16's mantissa, to which tensor cores round operands.
"""
TF32 = "tf32"
SHORT = ("float16", "bfloat16")
"""Types of floats of 16 bits."""
PRECISION = "chameleon.precision"
"""Attribute of loops whose operands may be rounded to a coarser precision than their type's."""


@dataclass(frozen=True)
class Precision:
    """The precision that a layer or a model computes in.

    Attributes:
        dtype: Coarsest floating-point type inside, one of ``FLOATS``.
        quantizers: Number of operations that round floats to integers of 8 bits or fewer.
        steps: Step of quantisation of each output that is a quantised float, in the output's own
            unit; 0 for other outputs. May be empty where no step is known.
    """

    dtype: str = "float64"
    quantizers: int = 0
    steps: tuple[float, ...] = ()

    def with_products(self, dtype: str) -> "Precision":
        """Returns the precision where products of float32, or weights, are of another type."""
        if dtype == "float32":
            return self
        return replace(self, dtype=max(self.dtype, dtype, key=FLOATS.index))

    @property
    def name(self) -> str:
        """Name of the precision for people."""
        return "quantized" if self.quantizers else self.dtype


PLAIN = Precision()
"""Precision where the types of the outputs themselves say it all."""
