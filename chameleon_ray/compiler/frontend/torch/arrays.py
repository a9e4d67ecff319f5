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
    """Draws an example of an input; ``dtype`` is its type where it has none of its own."""
    kind = spec.dtype or dtype
    drawn = "float32" if kind == "bfloat16" else kind
    array = InputSpec(spec.name, spec.shape, drawn).example(rng)
    return torch.from_numpy(np.asarray(array)).to(torch_dtype(kind))
