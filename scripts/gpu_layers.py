"""Layers of every kind and data type for ``gpu_check.py``, and what they come to on a CPU.

They are small, so that a simulated device runs them in a moment too: what is wrong in a kernel does
not depend on how often its blocks repeat. All sums are float32, whatever the type of the data.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from chameleon_ray.compiler.kinds import resolve
from chameleon_ray.compiler.runtime.layer_inputs import random_array

DTYPES = ("float32", "float16", "bfloat16")


def conv2d_nchw(dtype: str) -> Any:
    """A 3x3 convolution, and ReLU."""
    from tvm import topi

    x, w = _tensor("x", (1, 32, 14, 14), dtype), _tensor("w", (64, 32, 3, 3), dtype)
    wide = topi.nn.conv2d(x, w, 1, 1, 1, "NCHW", "OIHW", "float32")
    return _module(x, w, topi.cast(topi.nn.relu(wide), dtype))


def conv2d_nhwc(dtype: str) -> Any:
    """A 3x3 convolution with channels last, bias, a residual and ReLU."""
    from tvm import te, topi

    x, w = _tensor("x", (1, 14, 14, 32), dtype), _tensor("w", (64, 3, 3, 32), dtype)
    bias, other = _tensor("bias", (64,), dtype), _tensor("other", (1, 14, 14, 64), dtype)
    wide = topi.nn.conv(x, w, 1, 1, 1, 1, "NHWC", "OHWI", "float32")

    def ending(n: Any, h: Any, v: Any, o: Any) -> Any:
        added = bias[o].astype("float32") + other[n, h, v, o].astype("float32")
        return te.max(wide[n, h, v, o] + added, 0.0).astype(dtype)

    return _module(x, w, bias, other, te.compute((1, 14, 14, 64), ending, "y"))


def depthwise(dtype: str) -> Any:
    from tvm import topi

    x, w = _tensor("x", (1, 32, 28, 28), dtype), _tensor("w", (32, 1, 3, 3), dtype)
    wide = topi.nn.depthwise_conv2d_nchw(x, w, 1, 1, 1, "float32")
    return _module(x, w, topi.cast(wide, dtype))


def matmul(dtype: str) -> Any:
    """A product with weights [K, N]."""
    from tvm import topi

    a, b = _tensor("a", (64, 256), dtype), _tensor("b", (256, 128), dtype)
    return _module(a, b, topi.cast(topi.nn.matmul(a, b, out_dtype="float32"), dtype))


def dense(dtype: str) -> Any:
    """A product with weights [N, K], bias and ReLU."""
    from tvm import te, topi

    a, w = _tensor("a", (64, 256), dtype), _tensor("w", (128, 256), dtype)
    bias, wide = _tensor("bias", (128,), dtype), topi.nn.dense(a, w, None, "float32")

    def ending(i: Any, j: Any) -> Any:
        return te.max(wide[i, j] + bias[j].astype("float32"), 0.0).astype(dtype)

    return _module(a, w, bias, te.compute((64, 128), ending, "y"))


def batched(dtype: str) -> Any:
    """Products of two activations, as in attention."""
    from tvm import topi

    a, b = _tensor("a", (4, 32, 64), dtype), _tensor("b", (4, 32, 64), dtype)
    return _module(a, b, topi.cast(topi.nn.batch_matmul(a, b, out_dtype="float32"), dtype))


def max_pool(dtype: str) -> Any:
    from tvm import topi

    x = _tensor("x", (1, 32, 28, 28), dtype)
    return _module(x, topi.nn.pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1, 1, 1], "max"))


def softmax(dtype: str) -> Any:
    from tvm import topi

    rows = _tensor("rows", (64, 200), dtype)
    return _module(rows, topi.nn.softmax(rows))


def mean(dtype: str) -> Any:
    from tvm import topi

    rows = _tensor("rows", (64, 200), dtype)
    sums = topi.sum(topi.cast(rows, "float32"), axis=1)
    return _module(rows, topi.cast(sums / 200.0, dtype))


def add(dtype: str) -> Any:
    from tvm import topi

    rows = _tensor("rows", (64, 200), dtype)
    return _module(rows, topi.add(rows, rows))


LAYERS: dict[str, Callable[[str], Any]] = {
    "add": add,
    "dense": dense,
    "conv2d nhwc": conv2d_nhwc,
    "conv2d nchw": conv2d_nchw,
    "matmul": matmul,
    "batched matmul": batched,
    "depthwise": depthwise,
    "softmax": softmax,
    "max pooling": max_pool,
    "mean": mean,
}
"""Functions that make a layer of a data type, by kind; the first are looked at first."""


PRODUCTS = {
    "float32": ("cuda_dense",),
    "float16": ("cuda_tensor_core",),
    "bfloat16": ("cuda_tensor_core", "cuda_dense"),
}
TEMPLATES_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "dense": PRODUCTS,
    "matmul": PRODUCTS,
    "batched matmul": PRODUCTS,
    "conv2d nhwc": {"float16": ("cuda_tensor_core",), "bfloat16": ("cuda_tensor_core",)},
    "conv2d nchw": {"float32": ("cuda_direct",), "bfloat16": ("cuda_direct",)},
    "depthwise": dict.fromkeys(DTYPES, ("cuda_direct",)),
}
"""Templates that have to fit a kind of layer, by data type, on ``sm_80`` and newer."""


def expected(kind: str, dtype: str, arch: str = "sm_80") -> tuple[str, ...]:
    """Names of the templates that have to fit a layer on an architecture, as ``sm_90``."""
    names = TEMPLATES_OF.get(kind, {}).get(dtype, ())
    tensor_cores = int(arch.removeprefix("sm_").rstrip("af")) >= 80
    return tuple(name for name in names if tensor_cores or name != "cuda_tensor_core")


def on_cpu(kind: str, dtype: str) -> tuple[np.ndarray, ...]:
    """All buffers of a layer after one execution in float32 on this machine's CPU.

    The inputs are those that runners make, rounded to the layer's type; what comes out is rounded
    to it last.
    """
    import tvm

    target = tvm.target.Target(json.loads(resolve("llvm", 1)))
    library = tvm.compile(LAYERS[kind]("float32"), target=target).jit()
    rng, params = (
        np.random.default_rng(0),
        [param.ty for param in LAYERS[kind](dtype)["main"].params],
    )
    shapes = [(tuple(int(extent) for extent in p.shape), str(p.dtype)) for p in params]
    drawn = [random_array(rng, *shape) for shape in shapes]
    buffers = [tvm.runtime.tensor(array.astype("float32")) for array in drawn]
    library["main"](*buffers)
    return tuple(buffer.numpy().astype(dtype) for buffer in buffers)


def _tensor(name: str, shape: tuple[int, ...], dtype: str) -> Any:
    from tvm import te

    return te.placeholder(shape, dtype, name)


def _module(*tensors: Any) -> Any:
    import tvm
    from tvm import te

    return tvm.IRModule({"main": te.create_prim_func(list(tensors))})
