"""Makes torch modules of functions, imports and compiles them, and compares them with torch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import tvm
from torch import nn

from chameleon_ray.compiler.frontend.draws import redrawn
from chameleon_ray.compiler.frontend.model import Model
from chameleon_ray.compiler.frontend.torch.arguments import Arguments
from chameleon_ray.compiler.frontend.torch.torch_module import load_module
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower

# Unoptimised code computes the same and is compiled several times faster.
TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})


class Calling(nn.Module):
    """A module that calls a function with its inputs."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def imported(module: nn.Module, *inputs: Any, **named: Any) -> Model:
    """Imports a module in inference mode."""
    arguments = Arguments(inputs, named)
    draws = redrawn(arguments.arrays(), np.random.default_rng(0), 2)
    return load_module("model", module.eval(), arguments, draws)


def computed(model: Model) -> list[np.ndarray]:
    """Compiles a model and runs it on its last example."""
    executable = tvm.compile(lower(model.module, TARGET, LLVM), TARGET)
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    outputs = machine["main"](*[tvm.runtime.tensor(array) for array in model.examples[-1].inputs])
    outputs = [outputs] if hasattr(outputs, "numpy") else list(outputs)
    return [output.numpy() for output in outputs]


def assert_like_torch(model: Model, names: tuple[str, ...] = (), tolerance: float = 1e-5) -> None:
    """Compares a compiled model's outputs with torch's: shapes, types and values."""
    found = computed(model)
    reference = model.examples[-1].outputs
    assert reference is not None
    assert len(found) == len(reference)
    for place, (output, expected) in enumerate(zip(found, reference, strict=True)):
        name = names[place] if names else f"output {place}"
        assert (output.shape, output.dtype) == (expected.shape, expected.dtype), name
        if expected.dtype.kind in "biu":
            np.testing.assert_array_equal(output, expected, name)
        else:
            ours, theirs = output.astype("f8"), expected.astype("f8")
            size = np.abs(theirs[np.isfinite(theirs)]).max(initial=1)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * size, err_msg=name)


def assert_all_like_torch(functions: Mapping[str, Callable[..., Any]], *inputs: Any) -> None:
    """Compares functions of the same inputs, all in one module."""

    def every(*given: Any) -> tuple[Any, ...]:
        return tuple(function(*given) for function in functions.values())

    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert_like_torch(imported(Calling(every), *inputs), tuple(functions))
