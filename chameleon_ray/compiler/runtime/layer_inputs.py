"""The inputs that layers are timed on: random arrays, the same in every process."""

from collections.abc import Collection
from typing import Any

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np


class LayerInputs:
    """The buffers of layers as arrays, outputs included; each layer's are filled once."""

    def __init__(self) -> None:
        self._arrays: dict[bytes, list[np.ndarray]] = {}
        self._shared: dict[bytes, list[list[Any]]] = {}

    def arrays(self, program: bytes) -> list[np.ndarray]:
        """Returns a layer's buffers, in the order in which it takes them."""
        if program not in self._arrays:
            from chameleon_ray.compiler.spaces.sketch import Program

            rng = np.random.default_rng(0)
            shapes = Program.loads(program).arguments
            self._arrays[program] = [random_array(rng, shape, dtype) for shape, dtype in shapes]
        return self._arrays[program]

    def tensors(self, program: bytes, device: Any) -> list[Any]:
        """Copies a layer's buffers to new tensors on one of TVM's devices."""
        import tvm

        return [tvm.runtime.tensor(array, device) for array in self.arrays(program)]

    def shared(
        self, program: bytes, device: Any, copy: int = 0, weights: Collection[int] = ()
    ) -> list[Any]:
        """Returns tensors of a layer's buffers on the process's one device, made by the first call.

        Candidates that are timed write into the same ones, but each copy of one into its own. All
        copies read the same weights, as those of a model do.

        Args:
            program: The layer.
            device: The device.
            copy: Number of the copy.
            weights: Places of the weights among the buffers.
        """
        import tvm

        made = self._shared.setdefault(program, [])
        while len(made) <= copy:
            made.append(
                [
                    made[0][place]
                    if made and place in weights
                    else tvm.runtime.tensor(array, device)
                    for place, array in enumerate(self.arrays(program))
                ]
            )
        return made[copy]

    def forget(self) -> None:
        """Lets the shared tensors of all layers go, and so the memory that they take."""
        self._shared.clear()

    def size(self, program: bytes) -> int:
        """Returns the bytes of a layer's buffers."""
        return sum(array.nbytes for array in self.arrays(program))


def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Draws an array: floats uniform in [-1, 1), integers and booleans in {0, 1}.

    Zeros and ones are valid as indices, too.
    """
    if dtype.startswith(("float", "bfloat")):
        return (2 * rng.random(shape, dtype="float32") - 1).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)
