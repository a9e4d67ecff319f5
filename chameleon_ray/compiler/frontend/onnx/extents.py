"""Sizes and elements of tensors that must be known before the model runs."""

import numpy as np
from tvm import relax, tirx
from tvm.ir import GenericConst

from chameleon_ray.compiler.frontend.onnx.node import Untranslatable
from chameleon_ray.compiler.relax import constant


def rank(value: relax.Expr) -> int:
    """Returns a tensor's number of axes.

    Raises:
        Untranslatable: It is only known at run time.
    """
    if value.ty.ndim < 0:
        raise Untranslatable(
            "the number of axes of its input is only known at run time; export the model with "
            "shapes"
        )
    return int(value.ty.ndim)


def extents(value: relax.Expr) -> tuple[int, ...]:
    """Returns the extents of a tensor.

    Raises:
        Untranslatable: One of them is only known at run time.
    """
    shape = value.ty.shape
    if shape is None or not all(isinstance(size, tirx.IntImm) for size in shape):
        raise Untranslatable(
            "the shape of its input is only known at run time; export the model with fixed shapes"
        )
    return tuple(int(size) for size in shape)


def axis_of(axis: int, count: int) -> int:
    """Returns an axis of a tensor of ``count`` axes, counted from the first.

    Raises:
        Untranslatable: There is no such axis.
    """
    if not -count <= axis < max(count, 1):
        raise Untranslatable(
            f"its axis {axis} is none of the {count} that its input has; correct the model"
        )
    return axis % max(count, 1)


def element(value: relax.Expr, place: int) -> relax.Expr:
    """Returns what a tensor has at a place of its first axis, which the result is without."""
    if isinstance(value, GenericConst):
        return constant(value.value.numpy()[place], str(value.ty.dtype))
    part = relax.op.strided_slice(value, [0], [place], [place + 1])
    return relax.op.squeeze(part, [0])


def columns(value: relax.Expr, first: int, end: int) -> relax.Expr:
    """Returns a part of a tensor's last axis."""
    if isinstance(value, GenericConst):
        return constant(value.value.numpy()[..., first:end], str(value.ty.dtype))
    return relax.op.strided_slice(value, [rank(value) - 1], [first], [end])


def transposed(value: relax.Expr) -> relax.Expr:
    """Returns a matrix with rows and columns exchanged."""
    if isinstance(value, GenericConst):
        return constant(np.transpose(value.value.numpy()), str(value.ty.dtype))
    return relax.op.permute_dims(value, [1, 0])
