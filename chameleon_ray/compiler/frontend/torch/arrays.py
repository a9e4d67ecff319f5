"""Tensors of torch as numpy arrays, and the other way round, of bfloat16 too."""

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from chameleon_ray.compiler.frontend.drawing import Use, draw
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError


def array_of(tensor: Tensor, owner: str = "The model") -> np.ndarray:
    """Returns a tensor's elements, in memory that the two may share where it is contiguous.

    Args:
        tensor: The tensor.
        owner: Whose it is, in messages.

    Raises:
        ModelError: It is sparse, or numpy has no such type.
    """
    if tensor.layout != torch.strided:
        raise ModelError(
            f"{owner} takes or returns a sparse tensor, which a library cannot; convert it with "
            "to_dense() inside of the model."
        )
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if plain.dtype == torch.bfloat16:  # which numpy does not have
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    try:
        return plain.numpy()
    except TypeError as error:
        raise ModelError(
            f"{owner} takes or returns a tensor of type {str(plain.dtype).removeprefix('torch.')}, "
            "which numpy does not have; convert it to float32 inside of the model."
        ) from error


def tensor_from(array: np.ndarray) -> Tensor:
    """Returns an array's elements as a tensor, in memory that the two share."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.ascontiguousarray(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def tensor_of(spec: InputSpec, rng: np.random.Generator, dtype: str = "float32") -> Tensor:
    """Returns the values of an input that the user gave, or draws some.

    Args:
        spec: The input.
        rng: Source of all that is drawn.
        dtype: Its type where it has none of its own.
    """
    typed = spec.typed(spec.dtype or dtype)
    unknown = Use(counted=False)
    return tensor_from(draw(typed, unknown, rng) if typed.values is None else typed.values)
