"""An example of a whole model: inputs, and the outputs to expect of them."""

from dataclasses import dataclass

import numpy as np

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Example:
    """Inputs of a model and its outputs for them.

    Attributes:
        inputs: One array per input, in order.
        outputs: One array per output, in order; None where nothing but TVM could compute them.
    """

    inputs: Arrays
    outputs: Arrays | None = None


def is_float(array: np.ndarray) -> bool:
    """Whether an array is of floats, which may be infinite or NaN."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"
