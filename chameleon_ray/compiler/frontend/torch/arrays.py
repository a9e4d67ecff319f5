"""Tensors of torch as numpy arrays, and the other way round, of bfloat16 too."""

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.torch.node import torch_dtype


def array_of(tensor: Tensor) -> np.ndarray:
    """Returns a tensor's elements, in memory that the two may share where it is contiguous."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if plain.dtype == torch.bfloat16:  # which numpy does not have
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def tensor_of(spec: InputSpec, rng: np.random.Generator, dtype: str = "float32") -> Tensor:
    """Returns the values of an input that the user gave, or draws some.

    Args:
        spec: The input.
        rng: Source of all that is drawn.
        dtype: Its type where it has none of its own.
    """
    kind = spec.dtype or dtype
    drawn = "float32" if kind == "bfloat16" and spec.values is None else kind
    array = spec.typed(drawn).example(rng)
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.ascontiguousarray(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array).to(torch_dtype(kind))
