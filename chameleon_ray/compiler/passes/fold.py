"""Computes constant expressions and batch norms ahead of time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.relax import (
    bindings_of,
    clean,
    constant,
    is_static,
    operator,
    rewrite,
    uses_of,
)

Rule = Callable[[Call, list[np.ndarray], tuple[int, ...]], np.ndarray]
"""Evaluates one call from the call itself, its tensor arguments and its result's shape."""

TILE = 256
"""Side of the square tiles in which a matrix is transposed."""

SPREAD = 1 << 16
"""Number of elements above which a constant is kept only if no larger than its arguments."""


def _elementwise(function: Callable[..., np.ndarray]) -> Rule:
    return lambda call, arrays, shape: function(*arrays)


def _reshape(call: Call, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return arrays[0].reshape(shape)


def _permute(call: Call, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    axes = call.attrs.axes
    moved = arrays[0].transpose(None if axes is None else [int(axis) for axis in axes])
    if moved.ndim != 2:
        return moved
    # Numpy's copy of a transposed matrix misses the cache at every element: 2-4 times slower.
    copy = np.empty(moved.shape, moved.dtype)
    for row in range(0, moved.shape[0], TILE):
        for column in range(0, moved.shape[1], TILE):
            tile = np.s_[row : row + TILE, column : column + TILE]
            copy[tile] = moved[tile]
    return copy


def _concat(call: Call, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(arrays, axis=int(call.attrs.axis or 0))


RULES: dict[str, Rule] = {
    "relax.add": _elementwise(np.add),
    "relax.subtract": _elementwise(np.subtract),
    "relax.multiply": _elementwise(np.multiply),
    "relax.divide": _elementwise(np.divide),
    "relax.power": _elementwise(np.power),
    "relax.maximum": _elementwise(np.maximum),
    "relax.minimum": _elementwise(np.minimum),
    "relax.sqrt": _elementwise(np.sqrt),
    "relax.rsqrt": _elementwise(lambda x: 1 / np.sqrt(x)),
    "relax.exp": _elementwise(np.exp),
    "relax.log": _elementwise(np.log),
    "relax.negative": _elementwise(np.negative),
    "relax.abs": _elementwise(np.abs),
    "relax.astype": _elementwise(np.asarray),
    "relax.reshape": _reshape,
    "relax.expand_dims": _reshape,
    "relax.squeeze": _reshape,
    "relax.flatten": _reshape,
    "relax.permute_dims": _permute,
    "relax.broadcast_to": lambda call, arrays, shape: np.broadcast_to(arrays[0], shape),
    "relax.concat": _concat,
    "relax.zeros_like": lambda call, arrays, shape: np.zeros(shape),
    "relax.ones_like": lambda call, arrays, shape: np.ones(shape),
}
"""Numpy's evaluation of each operator; the result is cast to the type that Relax gives it."""


def fold_constants(mod: IRModule) -> IRModule:
    """Replaces every expression of constants by its value, and drops what nothing uses.

    TVM's ``FoldConstant`` compiles each of these expressions with LLVM. That takes seconds for
    ResNet-18, nearly all of it for scaling and transposing weights. So it is called only where a
    call of constants is left after legalisation that ``RULES`` did not know. Left to run time, such
    a call would be a layer of its own: tuned, and paid for at every inference.

    Args:
        mod: Before or after legalisation; only its function ``main`` is changed.
    """
    known: dict[relax.Var, GenericConst] = {}
    unknown: list[Call] = []

    def evaluate(binding: relax.Binding) -> relax.Expr:
        value = binding.value
        arrays = _constants(value, known) if isinstance(value, Call) else []
        if arrays and _is_worth(binding.var.ty, arrays):
            if operator(value) in RULES:
                value = _evaluate(value, arrays, binding.var.ty)
            elif operator(value) == "relax.call_tir":
                unknown.append(value)
        if isinstance(value, GenericConst):
            known[binding.var] = value
        return value

    mod = rewrite(mod, evaluate)
    return clean(clean(relax.transform.FoldConstant()(mod)) if unknown else mod)


def evaluate(
    call: Call, arrays: list[np.ndarray | None], ty: relax.TensorType
) -> np.ndarray | None:
    """Evaluates a call; None where an argument is None, no rule knows it or the result is large.

    Args:
        call: The call.
        arrays: Values of its arguments; of those that are shapes, None.
        ty: Type of its result.
    """
    pairs = zip(call.args, arrays, strict=True)
    given = [array for arg, array in pairs if not isinstance(arg, relax.ShapeExpr)]
    numbers = [array for array in given if array is not None]
    if operator(call) not in RULES or len(numbers) < len(given) or not _is_worth(ty, numbers):
        return None
    return _evaluate(call, numbers, ty).value.numpy()


def fold_batch_norm(mod: IRModule) -> IRModule:
    """Turns each batch norm with constant statistics into a scale and a shift of its channels.

    Where its input is a convolution (with or without a bias) that nothing else uses, the scale goes
    into the convolution's weights, unless these are kept in a shorter type, which would round them.
    TVM's ``FoldBatchnormToConv2D`` leaves biased convolutions alone, and would also fold a batch
    norm in training mode.

    Args:
        mod: Its constants must have been folded.
    """
    uses = uses_of(mod)
    private = {b.var: b.value for b in bindings_of(mod) if uses[b.var] == 1}
    changed: dict[relax.Var, relax.Expr] = {}
    for binding in bindings_of(mod):
        norm = binding.value
        if _is_inference_norm(norm):
            data, shift = _scale(norm, private, changed)
            changed[binding.var] = relax.Tuple([relax.op.add(data, shift), *norm.args[3:]])
    return clean(rewrite(mod, lambda binding: changed.get(binding.var, binding.value)))


def _is_inference_norm(value: relax.Expr) -> bool:
    return (
        operator(value) == "relax.nn.batch_norm"
        and not value.attrs.training
        and value.args[0].ty.ndim > 0
        and all(isinstance(arg, GenericConst) for arg in value.args[1:])
    )


def _scale(
    norm: Call, private: dict[relax.Var, relax.Expr], changed: dict[relax.Var, relax.Expr]
) -> tuple[relax.Expr, GenericConst]:
    """Splits a batch norm into a scaled expression and the constant to add to it.

    The convolution that is scaled is put into ``changed``, by its variable.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` (Ioffe and Szegedy, 2015, algorithm 2)
    is ``scale * x + shift``. With ``x = conv(y, w) + b``, the two are ``conv(y, scale * w)`` and
    ``scale * b + shift``.
    """
    data, attrs, dtype = norm.args[0], norm.attrs, str(norm.args[1].ty.dtype)
    gamma, beta, mean, variance = (arg.value.numpy().astype("float64") for arg in norm.args[1:])
    scale = (gamma if attrs.scale else 1.0) / np.sqrt(variance + float(attrs.epsilon))
    shift = (beta if attrs.center else 0.0) - mean * scale
    rank, axis = data.ty.ndim, int(attrs.axis)
    scaled, bias = _convolution(data, private, axis)
    if scaled is None:
        scaled = relax.op.multiply(data, _channels(scale, rank, axis, dtype))
    else:
        conv = private[scaled]
        weight = conv.args[1].value.numpy()
        weight *= scale.reshape(-1, *[1] * (rank - 1)).astype(weight.dtype)
        changed[scaled] = Call(conv.op, [conv.args[0], constant(weight, dtype)], conv.attrs)
        shift = shift + bias * scale
    return scaled, _channels(shift, rank, axis, dtype)


def _convolution(
    data: relax.Expr, private: dict[relax.Var, relax.Expr], axis: int
) -> tuple[relax.Var | None, np.ndarray | float]:
    """Finds the convolution with constant weights that only ``data`` is made of, and its bias."""
    value: Any = private.get(data)
    bias: np.ndarray | float = 0.0
    if operator(value) == "relax.add":
        added = next((arg for arg in value.args if isinstance(arg, GenericConst)), None)
        other = next((arg for arg in value.args if isinstance(arg, relax.Var)), None)
        if added is None or other is None or not _is_per_channel(added, value.ty, axis):
            return None, 0.0
        data, value, bias = other, private.get(other), added.value.numpy().reshape(-1)
    is_conv = operator(value) in ("relax.nn.conv1d", "relax.nn.conv2d", "relax.nn.conv3d")
    if is_conv and axis == 1 and isinstance(value.args[1], GenericConst):
        if value.args[1].ty.dtype != value.ty.dtype:
            return None, 0.0
        attrs = value.attrs
        if str(attrs.data_layout)[1] == "C" and str(attrs.kernel_layout)[0] == "O":
            return data, bias
    return None, 0.0


def _is_per_channel(constant: GenericConst, ty: relax.TensorType, axis: int) -> bool:
    """Whether adding the constant adds one number to every channel (a scalar does, too)."""
    shape = [int(size) for size in constant.ty.shape]
    aligned = [1] * (ty.ndim - len(shape)) + shape
    return all(size == 1 for place, size in enumerate(aligned) if place != axis)


def _channels(values: np.ndarray, rank: int, axis: int, dtype: str) -> GenericConst:
    """Returns one number per channel as a constant that broadcasts against ``rank`` axes."""
    shape = [1] * rank
    shape[axis] = -1
    return constant(values.reshape(shape), dtype)


def _constants(call: Call, known: dict[relax.Var, GenericConst]) -> list[np.ndarray]:
    """Returns the tensors among a call's arguments; empty where any argument is not constant."""
    found: list[np.ndarray] = []
    rest = list(call.args)
    while rest:
        arg = rest.pop(0)
        arg = known.get(arg, arg) if isinstance(arg, relax.Var) else arg
        if isinstance(arg, GenericConst):
            found.append(arg)
        elif isinstance(arg, relax.Tuple):
            rest[:0] = arg.fields
        elif isinstance(arg, tvm.tirx.IntImm | tvm.tirx.FloatImm):
            found.append(np.asarray(arg.value, str(arg.ty.dtype)))
        elif not isinstance(arg, relax.ShapeExpr | tvm.ir.GlobalVar):
            return []
    if not any(isinstance(value, GenericConst) for value in found):
        return []
    return [value.value.numpy() if isinstance(value, GenericConst) else value for value in found]


def _evaluate(call: Call, arrays: list[np.ndarray], ty: relax.TensorType) -> GenericConst:
    shape = tuple(int(size) for size in ty.shape)
    with np.errstate(all="ignore"):
        value = RULES[call.op.name](call, arrays, shape)
    if value.shape != shape:
        raise AssertionError(f"{call.op.name} gave {value.shape} where Relax expects {shape}")
    return constant(value, str(ty.dtype))


def _is_worth(ty: tvm.ir.Type, arrays: list[np.ndarray]) -> bool:
    """Whether a value of this type may be kept: it has a known size, and is not much spread out.

    An example of a spread value is a dense layer's weights, broadcast to every token of a
    transformer. Importers do that.
    """
    if not isinstance(ty, relax.TensorType) or not is_static(ty):
        return False
    size = math.prod(int(size) for size in ty.shape)
    return size <= max(SPREAD, sum(array.size for array in arrays))
