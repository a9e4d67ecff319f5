"""A compiled model among the frameworks that it is compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.callable_model import flat
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.example import Arrays
from chameleon_ray.measure.frameworks import Hosted, Runnable


@dataclass(frozen=True)
class Library:
    """A compiled model's library, and what it is run with.

    Attributes:
        kind: Kind of its target.
        path: The file.
        arrays: Values of the inputs, in order.
        cores: Cores that it runs on, with as many threads for all copies together.
        instances: Number of copies that share the cores when the model is timed.
        entry: Function of it that is the model.
    """

    kind: TargetKind
    path: str
    arrays: Arrays
    cores: tuple[int, ...]
    instances: int = 1
    entry: str = MAIN


def hosted(library: Library) -> Hosted:
    """Makes the handler in the process of the compiled model."""

    def load() -> Runnable:
        block_torch()
        library.kind.preload()
        import tvm
        from tvm import relax

        device = library.kind.device()
        module = tvm.runtime.load_module(library.path)
        inputs = [tvm.runtime.tensor(array, device) for array in library.arrays]

        def machine() -> Callable[[], Any]:
            main = relax.VirtualMachine(module, device)[library.entry]

            def run() -> object:
                outputs = main(*inputs)
                device.sync()
                return outputs

            return run

        return Runnable(
            machine(),
            lambda outputs: tuple(tensor.numpy() for tensor in flat(outputs)),
            version("apache-tvm"),
            machine,
        )

    return Hosted(load, library.cores, library.instances)
