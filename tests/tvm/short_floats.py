"""Layers of 16-bit floats: weights, models, what they give, and numpy's float32 for the same."""

import json
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import resolve
from chameleon_ray.compiler.relax import bindings_of, constant
from tests.tvm import layers

op = relax.op
RNG = np.random.default_rng(0)
TYPES = ("float16", "bfloat16")
TARGET = layers.tvm_target()
Array = np.ndarray


def drawn(dtype: str, *shape: int) -> Array:
    return (RNG.standard_normal(shape) / 4).astype(dtype)


def kept(array: Array) -> Expr:
    return constant(array, array.dtype.name)


def emit(x: Expr) -> Expr:
    return relax.BlockBuilder.current().emit(x)


def wide(array: Array) -> Array:
    return array.astype("float32")


def run(lowered: Any, *arrays: Array) -> Any:
    machine = relax.VirtualMachine(tvm.compile(lowered, layers.unoptimised()), tvm.cpu())
    outputs = machine["main"](*(tvm.runtime.tensor(array) for array in arrays))
    return outputs.numpy() if hasattr(outputs, "numpy") else [one.numpy() for one in outputs]


def constants(lowered: Any) -> list[Any]:
    """The types of the constants of ``main``, scalars left out."""
    values = [arg for b in bindings_of(lowered) for arg in getattr(b.value, "args", ())]
    inner = [one for value in values for one in getattr(value, "fields", [value])]
    return [one.ty for one in inner if isinstance(one, GenericConst) and one.ty.ndim > 0]


def conv(x: Array, w: Array) -> Array:
    """Convolution by its definition, in NCHW, without padding, in float32."""
    windows = np.lib.stride_tricks.sliding_window_view(wide(x), w.shape[2:], (2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, wide(w))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


Built = tuple[tuple[int, ...], Callable[[Expr], Expr], Callable[[Array], Array]]
"""A shape, what the model does to its input, and the same in float32 with numpy."""


def dense(dtype: str, columns: int) -> Built:
    w, b = drawn(dtype, 40, columns), drawn(dtype, columns)
    return (
        (6, 40),
        lambda x: op.nn.relu(emit(op.matmul(x, kept(w)) + kept(b))),
        lambda x: relu(x @ wide(w) + wide(b)),
    )


def convolution(dtype: str, channels: int, size: int) -> Built:
    w, b = drawn(dtype, channels, 8, size, size), drawn(dtype, 1, channels, 1, 1)
    return (
        (1, 8, 9, 12),
        lambda x: op.nn.relu(emit(op.nn.conv2d(x, kept(w)) + kept(b))),
        lambda x: relu(conv(x, w) + wide(b)),
    )


def cpu(name: str) -> str:
    """The target of a CPU, by LLVM's name of it, kernels on one core."""
    return resolve(json.dumps({"kind": "llvm", "mcpu": name}), 1)


def target_of(text: str) -> Any:
    return tvm.target.Target(json.loads(text))
