"""Weights out of the cache, as a layer finds them in its model.

Between two runs of a layer, a model reads the weights of all others, so a cache seldom has them
still. Timed alone, a layer would find its own there, and one that reads more for fewer operations,
as Winograd's algorithm does, would seem faster than it is in the model. So each execution that is
timed reads another copy of the weights. The activations stay the same: the layer before has just
written them.
"""

import math
from itertools import cycle
from time import perf_counter
from typing import Any

import numpy as np

from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.options import Measuring
from chameleon_ray.task import Constants

ALIGNMENT = 64
"""Bytes of a cache line, on which each copy begins."""
DRAWN = 1 << 18
"""Number of random elements that the memory of copies is filled with, over and over."""


class Arguments:
    """Lists of arguments to execute a layer on, one after the other, again and again.

    Attributes:
        lists: The lists, which differ in the weights. The first one has the layer's own buffers.
    """

    def __init__(self, lists: list[list[Any]]) -> None:
        self.lists = lists
        self._turns = cycle(lists)

    def next(self) -> list[Any]:
        """Returns the list whose weights were read longest ago."""
        return next(self._turns)


class ColdWeights:
    """Memory that holds copies of one layer's weights, and then of another's."""

    def __init__(self, options: Measuring) -> None:
        self._least, self._most = options.cold_least, options.cold_most
        self._memory: dict[str, np.ndarray] = {}
        self._arguments: dict[tuple[bytes, Constants, int], Arguments] = {}

    def arguments(
        self, program: bytes, buffers: list[Any], constants: Constants, copy: int = 0
    ) -> Arguments:
        """Returns the arguments of a layer, the same with every call.

        A copy of the weights is read again only after as many bytes of others as
        ``constants.distance`` says, or the options' most. There is one list where weights are so
        few that it does not matter, or so many that reading them pushes themselves out.

        Args:
            program: The layer.
            buffers: Its buffers, in the order in which it takes them.
            constants: The constants among them.
            copy: Number of the copy that is executed on them; all copies read the same weights.
        """
        key = program, constants, copy
        if key not in self._arguments:
            self._arguments[key] = Arguments(self._lists(buffers, constants))
        return self._arguments[key]

    def _lists(self, buffers: list[Any], constants: Constants) -> list[list[Any]]:
        """Returns the buffers, and after them lists with copies of the weights."""
        distance = min(constants.distance, self._most)
        sizes = {place: _size(buffers[place]) for place in constants.places}
        sizes = {place: size for place, size in sizes.items() if size >= self._least}
        lists, stride = [list(buffers)], sum(sizes.values())
        for start in range(0, distance - stride, stride) if stride else ():
            copied, offset = list(buffers), start
            for place, size in sizes.items():
                memory = self._filled(str(buffers[place].dtype), distance)
                copied[place] = _as_tensor(memory[offset : offset + size], buffers[place])
                offset += size
            lists.append(copied)
        return lists

    def _filled(self, dtype: str, size: int) -> np.ndarray:
        """Returns at least ``size`` bytes that TVM has allocated, random elements of a type.

        Where there were too few, copies in other memory are forgotten.
        """
        import tvm

        made = self._memory.get(dtype)
        if made is None or made.shape[0] < size:
            self._arguments.clear()
            made = np.from_dlpack(tvm.runtime.empty((size,), "uint8"))
            drawn = random_array(np.random.default_rng(1), (DRAWN,), dtype).view("uint8")
            made[:] = np.resize(drawn, size)
            self._memory[dtype] = made
        return made


class Executions:
    """Executes a kernel, each time on the next of its lists of arguments."""

    def __init__(self, library: Any, arguments: Arguments) -> None:
        self._library, self._kernel = library, library["main"]
        self._arguments = arguments

    def __call__(self) -> None:
        """Executes the kernel once."""
        self._kernel(*self._arguments.next())

    def original(self) -> None:
        """Executes the kernel once on the layer's own buffers, as other candidates are."""
        self._kernel(*self._arguments.lists[0])

    def mean(self, number: int) -> float:
        """Executes the kernel ``number`` times; returns the mean of the seconds.

        With one list of arguments TVM does it, which takes no time between executions.
        """
        lists = self._arguments.lists
        if len(lists) > 1:
            began = perf_counter()
            for _ in range(number):
                self()
            return (perf_counter() - began) / number
        import tvm

        evaluate = self._library.time_evaluator("main", tvm.cpu(), number=number, repeat=1)
        return float(evaluate(*lists[0]).mean)


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
