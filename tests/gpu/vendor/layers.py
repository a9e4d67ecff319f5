"""Layers as the passes leave them, and what NumPy makes of their inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np
import tvm
from tvm import relax, te, topi

from chameleon_ray.compiler.spaces.vendor.epilogue import ACTIVATIONS

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A layer's module with one PrimFunc ``main``, and its output of all inputs in float32."""

    module: Any
    reference: Callable[[Arrays], np.ndarray]

    def inputs(self) -> list[np.ndarray]:
        """Random values of its parameters, but the output; small, so that sums stay small."""
        rng = np.random.default_rng(0)
        params = list(self.module["main"].params)[:-1]
        shapes = [[int(n) for n in param.shape] for param in params]
        return [
            (rng.random(shape, dtype="f4") - 0.5).astype(str(param.dtype))
            for shape, param in zip(shapes, params, strict=True)
        ]

    @property
    def output(self) -> tuple[tuple[int, ...], str]:
        last = list(self.module["main"].params)[-1]
        return tuple(int(n) for n in last.shape), str(last.dtype)


def convolution(
    dtype: str = "float32",
    last: bool = False,
    *,
    size: tuple[int, int, int] = (2, 8, 9),
    outputs: int = 12,
    kernel: int = 3,
    stride: int = 1,
    padding: Sequence[int] = (1, 1, 1, 1),
    dilation: int = 1,
    bias: bool = True,
    residual: bool = False,
    activation: str = "relu",
    tf32: bool = False,
) -> Layer:
    """A convolution of NCHW, or of NHWC with weights of OHWI, if ``last``.

    Args:
        size: Images, channels, and height, which is one more than the width.
    """
    images, channels, height = size
    wide = [images, channels, height, height - 1]
    own = [outputs, channels, kernel, kernel]

    def ordered(shape: list[int]) -> list[int]:
        return [shape[0], *shape[2:], shape[1]] if last else shape

    reach = dilation * (kernel - 1) + 1
    spans = [wide[2] + padding[0] + padding[2] - reach, wide[3] + padding[1] + padding[3] - reach]
    result = ordered([images, outputs, *(span // stride + 1 for span in spans)])
    x, w = (relax.Var(n, relax.TensorType(ordered(s), dtype)) for n, s in (("x", wide), ("w", own)))
    b = relax.Var("b", relax.TensorType(ordered([1, outputs, 1, 1]), "float32"))
    r = relax.Var("r", relax.TensorType(result, dtype))
    params = [x, w, *[b] * bias, *[r] * residual]
    layout, weights = ("NHWC", "OHWI") if last else ("NCHW", "OIHW")

    def body() -> relax.Expr:
        options = {"strides": stride, "padding": list(padding), "dilation": dilation}
        out = "float32" if dtype != "float32" else None
        sums = relax.op.nn.conv2d(
            x, w, **options, data_layout=layout, kernel_layout=weights, out_dtype=out
        )
        sums = relax.op.add(sums, b) if bias else sums
        sums = relax.op.add(sums, relax.op.astype(r, "float32")) if residual else sums
        return relax.op.astype(_activated(sums, activation), dtype)

    def reference(arrays: Arrays) -> np.ndarray:
        data, weight, *rest = [array.astype("f8") for array in arrays]
        data, weight = (a if not last else np.moveaxis(a, 3, 1) for a in (data, weight))
        top, left, bottom, right = padding
        data = np.pad(data, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(data, (reach, reach), (2, 3))
        windows = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]
        sums = np.einsum("nchwyx,ocyx->nohw", windows, weight)
        sums = np.moveaxis(sums, 1, 3) if last else sums
        return ACTIVATIONS[activation](sums + sum(rest))

    return Layer(_fused(params, body, tf32), reference)


def product(
    dtype: str = "float32",
    *,
    batch: Sequence[int] = (),
    rows: int = 10,
    columns: int = 8,
    depth: int = 24,
    turned: bool = False,
    shared: bool = True,
    bias: str = "",
    residual: bool = False,
    activation: str = "none",
    output: str = "",
    tf32: bool = False,
) -> Layer:
    """A product of matrices; the second one has its columns first if ``turned``.

    Args:
        shared: Whether a batch has one second matrix only.
        bias: Type of the bias; empty where there is none.
        output: Type of the output; that of the operands where empty.
    """
    output, own = output or dtype, [] if shared else list(batch)
    left = te.placeholder([*batch, rows, depth], dtype, "left")
    right = te.placeholder([*own, columns, depth] if turned else [*own, depth, columns], dtype, "r")
    added = te.placeholder([columns], bias or dtype, "bias")
    other = te.placeholder([*batch, rows, columns], output, "residual")
    k = te.reduce_axis((0, depth), "k")

    def one(*axes: Any) -> Any:
        *many, row, column = axes
        place = (column, k) if turned else (k, column)
        factors = left[(*many, row, k)], right[(*([] if shared else many), *place)]
        return te.sum(factors[0].astype("float32") * factors[1].astype("float32"), axis=k)

    sums = te.compute([*batch, rows, columns], one, "sums")
    sums = topi.add(sums, topi.cast(added, "float32")) if bias else sums
    sums = topi.add(sums, topi.cast(other, "float32")) if residual else sums
    sums = topi.nn.relu(sums) if activation == "relu" else sums
    sums = _gelu(sums) if activation.startswith("gelu") else sums
    result = topi.cast(sums, output) if output != "float32" else sums
    inputs = [left, right, *[added] * bool(bias), *[other] * residual]
    function = te.create_prim_func([*inputs, result])

    def reference(arrays: Arrays) -> np.ndarray:
        first, second, *rest = [array.astype("f8") for array in arrays]
        second = np.swapaxes(second, -1, -2) if turned else second
        return ACTIVATIONS[activation](first @ second + sum(rest))

    function = function.with_attr("chameleon.precision", "tf32") if tf32 else function
    return Layer(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), reference)


def _gelu(sums: Any) -> Any:
    """GELU by hyperbolic tangents."""
    cubed = topi.multiply(topi.multiply(sums, sums), sums)
    inner = topi.multiply(topi.add(sums, topi.multiply(cubed, 0.044715)), 0.7978845608028654)
    return topi.multiply(topi.multiply(sums, 0.5), topi.add(topi.tanh(inner), 1.0))


def _activated(sums: relax.Expr, activation: str) -> relax.Expr:
    known = {"none": lambda x: x, "tanh": relax.op.tanh, "sigmoid": relax.op.sigmoid}
    return known.get(activation, getattr(relax.op.nn, activation, None))(sums)


def _fused(params: list[relax.Var], body: Callable[[], relax.Expr], tf32: bool) -> Any:
    """Legalises and fuses one layer, as the passes do."""
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(body()))
        builder.emit_func_output(result)
    mod = relax.transform.Normalize()(builder.get())
    for step in ("LegalizeOps", "AnnotateTIROpPattern", "FoldConstant", "FuseOps", "FuseTIR"):
        mod = getattr(relax.transform, step)()(mod)
    (function,) = (f for f in mod.functions.values() if isinstance(f, tvm.tirx.PrimFunc))
    function = function.with_attr("chameleon.precision", "tf32") if tf32 else function
    return tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
