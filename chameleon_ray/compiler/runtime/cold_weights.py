"""Weights out of the cache, as a layer finds them in its model.

Between two runs of a layer, a model reads the weights of all others, so a cache seldom has them
still. Timed alone, a layer would find its own there, and one that reads more for fewer operations,
as Winograd's algorithm does, would seem faster than it is in the model. So each execution that is
timed reads another copy of the weights. The activations stay the same: the layer before has just
written them.
"""

import math
from collections.abc import Callable
from itertools import cycle
from time import perf_counter
from typing import Any

import numpy as np

from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.options import Measuring
from chameleon_ray.task import Weights

ALIGNMENT = 64
"""Bytes of a cache line, on which each copy begins."""
DRAWN = 1 << 18
"""Number of random elements that the memory of copies is filled with, over and over."""


class ColdWeights:
    """Memory that holds copies of one layer's weights, and then of another's."""

    def __init__(self, options: Measuring) -> None:
        self._options = options
        self._memory: dict[str, np.ndarray] = {}

    def arguments(self, buffers: list[Any], weights: Weights) -> list[list[Any]]:
        """Returns lists of arguments to execute a layer on, one after the other.

        They differ in the weights. A copy is read again only after as many bytes of others as
        ``weights.distance`` says, or the options' most. There is one list where weights are so few
        that it does not matter, or so many that reading them pushes themselves out.

        Args:
            buffers: The layer's buffers, in the order in which it takes them.
            weights: The constants among them.
        """
        sizes = {place: _size(buffers[place]) for place in weights.places}
        sizes = {place: size for place, size in sizes.items() if size >= self._options.cold_least}
        stride = sum(sizes.values())
        distance = min(weights.distance, self._options.cold_most)
        lists = [list(buffers) for _ in range(math.ceil(distance / stride) if stride else 1)]
        for number, copied in enumerate(lists[1:]):
            offset = number * stride
            for place, size in sizes.items():
                memory = self._filled(str(buffers[place].dtype), distance)
                copied[place] = _as_tensor(memory[offset : offset + size], buffers[place])
                offset += size
        return lists

    def _filled(self, dtype: str, size: int) -> np.ndarray:
        """Returns at least ``size`` bytes that TVM has allocated, random elements of a type."""
        import tvm

        made = self._memory.get(dtype)
        if made is None or made.shape[0] < size:
            made = np.from_dlpack(tvm.runtime.empty((size,), "uint8"))
            drawn = random_array(np.random.default_rng(1), (DRAWN,), dtype).view("uint8")
            made[:] = np.resize(drawn, size)
            self._memory[dtype] = made
        return made


class Executions:
    """Executes a kernel, each time on the next of its lists of arguments."""

    def __init__(self, library: Any, arguments: list[list[Any]]) -> None:
        self._library, self._kernel = library, library["main"]
        self._arguments, self._next = arguments, cycle(arguments)

    def __call__(self) -> None:
        """Executes the kernel once."""
        self._kernel(*next(self._next))

    def mean(self, number: int) -> float:
        """Executes the kernel ``number`` times; returns the mean of the seconds.

        With one list of arguments TVM does it, which takes no time between executions.
        """
        if len(self._arguments) > 1:
            began = perf_counter()
            for _ in range(number):
                self()
            return (perf_counter() - began) / number
        import tvm

        evaluate: Callable[..., Any] = self._library.time_evaluator(
            "main", tvm.cpu(), number=number, repeat=1
        )
        return float(evaluate(*self._arguments[0]).mean)


def _as_tensor(memory: np.ndarray, like: Any) -> Any:
    """Returns bytes as a tensor of the type and shape of another.

    Kernels ignore the offset of a view, so the tensor begins where the bytes do.
    """
    import tvm

    return tvm.runtime.from_dlpack(memory)._create_view(like.shape, like.dtype)


def _size(tensor: Any) -> int:
    """Returns the bytes of a tensor, rounded up so that what is next to it begins a line."""
    size = math.prod(tensor.shape) * np.dtype(str(tensor.dtype)).itemsize
    return -(-size // ALIGNMENT) * ALIGNMENT
