"""PyTorch, which runs a model as its user wrote it, or compiled."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.torch.original import original
from chameleon_ray.compiler.frontend.torch.outputs import expected
from chameleon_ray.measure.frameworks import Runnable

Module = Callable[..., Any]


def load(source: Source, prepare: Callable[[Module], Module] = lambda module: module) -> Runnable:
    """Makes a torch model that runs in inference mode.

    Args:
        source: The model.
        prepare: Makes of the module what is called.

    Raises:
        ModelError: The model is none of torch's, or torch has no GPU.
    """
    if source.gpu and not torch.cuda.is_available():
        raise ModelError(f"torch {torch.__version__} finds no GPU here")
    torch.set_num_threads(source.threads)
    module, call = original(source.model, source.given, source.seed, source.arrays)
    args, kwargs = call.args, call.kwargs
    if source.gpu:
        module = module.cuda() if isinstance(module, torch.nn.Module) else module
        args, kwargs = pytree.tree_map_only(torch.Tensor, torch.Tensor.cuda, (args, kwargs))
    prepared = prepare(module)

    def run() -> Any:
        with torch.inference_mode():
            outputs = prepared(*args, **kwargs)
        if source.gpu:
            torch.cuda.synchronize()
        return outputs

    return Runnable(run, lambda outputs: expected(source.model, _on_cpu(outputs)), _version())


def compiled(mode: str | None) -> Callable[[Module], Module]:
    """Returns a function that compiles modules with ``torch.compile`` in some mode.

    With ``max-autotune``, weights are constants that torch lays out for its kernels, as it does for
    who asks for ``freezing``. Without, CPUs' matrix products have no templates to choose from.
    """

    def prepare(module: Module) -> Module:
        from torch._inductor import config

        config.freezing = mode == "max-autotune"  # of this process, which has one model
        return torch.compile(module, mode=mode)

    return prepare


def _on_cpu(outputs: Any) -> Any:
    return pytree.tree_map_only(torch.Tensor, torch.Tensor.cpu, outputs)


def _version() -> str:
    return str(torch.__version__)
