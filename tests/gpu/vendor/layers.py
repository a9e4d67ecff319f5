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


@dataclass(frozen=True)
class Convolution:
    """A convolution of NCHW, or of NHWC with weights of OHWI, if ``last``.

    Attributes:
        size: Images, channels, and height, which is one more than the width.
        padding: At the top, left, bottom and right.
    """

    dtype: str = "float32"
    last: bool = False
    size: tuple[int, int, int] = (2, 8, 9)
    outputs: int = 12
    kernel: int = 3
    stride: int = 1
    padding: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilation: int = 1
    bias: bool = True
    residual: bool = False
    activation: str = "relu"
    tf32: bool = False

    @property
    def reach(self) -> int:
        return self.dilation * (self.kernel - 1) + 1

    def ordered(self, shape: list[int]) -> list[int]:
        return [shape[0], *shape[2:], shape[1]] if self.last else shape

    def params(self) -> list[relax.Var]:
        """Data, weights, bias and residual."""
        (images, channels, height), (top, left, bottom, right) = self.size, self.padding
        wide = [images, channels, height, height - 1]
        own = [self.outputs, channels, self.kernel, self.kernel]
        spans = [wide[2] + top + bottom - self.reach, wide[3] + left + right - self.reach]
        result = [images, self.outputs, *(span // self.stride + 1 for span in spans)]
        bias = [("b", [1, self.outputs, 1, 1], "float32")] * self.bias
        residual = [("r", result, self.dtype)] * self.residual
        named = [("x", wide, self.dtype), ("w", own, self.dtype), *bias, *residual]
        return [relax.Var(n, relax.TensorType(self.ordered(s), d)) for n, s, d in named]

    def body(self, x: relax.Var, w: relax.Var, *rest: relax.Var) -> relax.Expr:
        sums = relax.op.nn.conv2d(
            x,
            w,
            strides=self.stride,
            padding=list(self.padding),
            dilation=self.dilation,
            data_layout="NHWC" if self.last else "NCHW",
            kernel_layout="OHWI" if self.last else "OIHW",
            out_dtype="float32",
        )
        for added in rest:
            sums = relax.op.add(sums, relax.op.astype(added, "float32"))
        return relax.op.astype(_activated(sums, self.activation), self.dtype)

    def reference(self, arrays: Arrays) -> np.ndarray:
        data, weight, *rest = [array.astype("f8") for array in arrays]
        data, weight = (a if not self.last else np.moveaxis(a, 3, 1) for a in (data, weight))
        top, left, bottom, right = self.padding
        data = np.pad(data, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(data, (self.reach, self.reach), (2, 3))
        step, apart = self.stride, self.dilation
        windows = windows[:, :, ::step, ::step, ::apart, ::apart]
        sums = np.einsum("nchwyx,ocyx->nohw", windows, weight)
        sums = np.moveaxis(sums, 1, 3) if self.last else sums
        return ACTIVATIONS[self.activation](sums + sum(rest))


def convolution(dtype: str = "float32", last: bool = False, **options: Any) -> Layer:
    """A convolution as one layer; see ``Convolution``."""
    made = Convolution(dtype, last, **options)
    params = made.params()
    return Layer(_fused(params, made.body(*params), made.tf32), made.reference)


@dataclass(frozen=True)
class Product:
    """A product of matrices; the second one has its columns first if ``turned``.

    Attributes:
        shared: Whether a batch has one second matrix only.
        bias: Type of the bias; empty where there is none.
        output: Type of the output; that of the operands where empty.
        divisor: Number that the sums are divided by.
    """

    dtype: str = "float32"
    batch: tuple[int, ...] = ()
    rows: int = 10
    columns: int = 8
    depth: int = 24
    turned: bool = False
    shared: bool = True
    bias: str = ""
    residual: bool = False
    activation: str = "none"
    output: str = ""
    tf32: bool = False
    divisor: float = 1.0

    def function(self) -> Any:
        output, own = self.output or self.dtype, [] if self.shared else list(self.batch)
        second = [self.depth, self.columns][:: -1 if self.turned else 1]
        left = te.placeholder([*self.batch, self.rows, self.depth], self.dtype, "left")
        right = te.placeholder([*own, *second], self.dtype, "right")
        k = te.reduce_axis((0, self.depth), "k")

        def one(*axes: Any) -> Any:
            *many, row, column = axes
            place = (column, k) if self.turned else (k, column)
            factors = left[(*many, row, k)], right[(*([] if self.shared else many), *place)]
            return te.sum(factors[0].astype("float32") * factors[1].astype("float32"), axis=k)

        sums = te.compute([*self.batch, self.rows, self.columns], one, "sums")
        sums = topi.divide(sums, self.divisor) if self.divisor != 1 else sums
        rest = [te.placeholder([self.columns], self.bias, "bias")] if self.bias else []
        rest += [te.placeholder(sums.shape, output, "residual")] if self.residual else []
        for added in rest:
            sums = topi.add(sums, topi.cast(added, "float32"))
        sums = topi.nn.relu(sums) if self.activation == "relu" else sums
        sums = _gelu(sums) if self.activation == "gelu_tanh" else sums
        return te.create_prim_func([left, right, *rest, topi.cast(sums, output)])

    def reference(self, arrays: Arrays) -> np.ndarray:
        first, second, *rest = [array.astype("f8") for array in arrays]
        second = np.swapaxes(second, -1, -2) if self.turned else second
        return ACTIVATIONS[self.activation](first @ second / self.divisor + sum(rest))


def product(**options: Any) -> Layer:
    """A product of matrices as one layer; see ``Product``."""
    made = Product(**options)
    return Layer(_module(made.function(), made.tf32), made.reference)


def _gelu(sums: Any) -> Any:
    """GELU by hyperbolic tangents."""
    cubed = topi.multiply(topi.multiply(sums, sums), sums)
    inner = topi.multiply(topi.add(sums, topi.multiply(cubed, 0.044715)), 0.7978845608028654)
    return topi.multiply(topi.multiply(sums, 0.5), topi.add(topi.tanh(inner), 1.0))


def _activated(sums: relax.Expr, activation: str) -> relax.Expr:
    known = {"none": lambda x: x, "tanh": relax.op.tanh, "sigmoid": relax.op.sigmoid}
    return known.get(activation, getattr(relax.op.nn, activation, None))(sums)


def _fused(params: list[relax.Var], body: relax.Expr, tf32: bool) -> Any:
    """Legalises and fuses one layer, as the passes do."""
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(body))
        builder.emit_func_output(result)
    mod = relax.transform.Normalize()(builder.get())
    for step in ("LegalizeOps", "AnnotateTIROpPattern", "FoldConstant", "FuseOps", "FuseTIR"):
        mod = getattr(relax.transform, step)()(mod)
    (function,) = (f for f in mod.functions.values() if isinstance(f, tvm.tirx.PrimFunc))
    return _module(function, tf32)


def _module(function: Any, tf32: bool) -> Any:
    function = function.with_attr("chameleon.precision", "tf32") if tf32 else function
    return tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
