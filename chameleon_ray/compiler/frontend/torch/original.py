"""A torch model as its user has it: the module itself and a call of it, without any export."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from chameleon_ray.compiler.frontend import zoo
from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.torch.arguments import Arguments, completed
from chameleon_ray.compiler.frontend.torch.arrays import tensor_from
from chameleon_ray.compiler.frontend.torch.factory import made
from chameleon_ray.compiler.frontend.torch.outputs import leaves
from chameleon_ray.compiler.frontend.torch.torch_module import call_of, read_program
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.measure.example import Arrays


def original(
    spec: str, inputs: Sequence[InputSpec], seed: int, arrays: Arrays
) -> tuple[Callable[..., Any], Arguments]:
    """Makes a torch model, in inference mode, and the arguments of a call.

    Args:
        spec: Name of the zoo, ``.pt2`` file, or ``package.module:factory``.
        inputs: Inputs that the user gave.
        seed: Seed of the zoo's weights, or of a factory's.
        arrays: Values of the tensors among the arguments, in order.

    Raises:
        ModelError: There is no such model.
    """
    if zoo.inputs(spec) is not None:
        return zoo.build(spec, seed), Arguments(tuple(map(tensor_from, arrays)))
    if spec.lower().endswith(".pt2"):
        program = read_program(Path(spec))
        with quiet():
            return program.module(), call_of(program, spec, arrays)
    module, own = made(spec, seed)
    return module, completed(spec, module, own, inputs, seed).like(arrays)


class OfTensors(torch.nn.Module):
    """A module called with the tensors of a call alone, which returns the tensors of its outputs.

    All else among the arguments stays as it is.
    """

    def __init__(self, module: Callable[..., Any], call: Arguments) -> None:
        super().__init__()
        self.module, self.training = module, False
        self.leaves, self.form = pytree.tree_flatten((call.args, call.kwargs))

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rest = iter(tensors)
        given = [next(rest) if isinstance(one, torch.Tensor) else one for one in self.leaves]
        args, kwargs = pytree.tree_unflatten(given, self.form)
        outputs = leaves(self.module(*args, **kwargs))
        return tuple(one for one in outputs if isinstance(one, torch.Tensor))
