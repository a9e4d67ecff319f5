"""Moves transposes behind what is computed element by element, where many of them meet and vanish.

A network whose convolutions have their channels innermost still adds its residuals up in the order
of axes that it was written in, with a transpose before each sum and behind it. Networks whose
products have the channels last, such as ConvNeXt, are written with such transposes.
"""

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes.mixed_precision import ELEMENTWISE
from chameleon_ray.compiler.relax import Emit, bindings_of, clean, constant, is_static, operator
from chameleon_ray.compiler.relax import rewrite_at_length as rewritten

COMMUTING = ELEMENTWISE - {"relax.nn.prelu"}
"""Operators of whose operands and result the axes may be permuted alike."""
Late = dict[relax.Expr, tuple[relax.Expr, tuple[int, ...]]]
"""For a transposed value: what is transposed, and the axes of it that the value's axes are."""


def with_late_transposes(mod: IRModule) -> IRModule:
    """Moves transposes behind operators that work element by element, and joins those that meet.

    An operator is moved before the transposes of its operands where these are all alike, and the
    other operands are constants. A transposed value that others read, too, keeps its transpose; a
    module that would have more of them than before is left as it is.

    Args:
        mod: Its constants folded, in dataflow form.
    """
    late: Late = {}

    def replace(binding: relax.Binding, emit: Emit) -> relax.Expr:
        call, var = binding.value, binding.var
        if operator(call) == "relax.permute_dims" and is_static(var.ty):
            return _transposed(call, var, late)
        axes = _common_axes(call, var, late)
        if axes is None:
            return call
        early = emit(Call(call.op, [_early(arg, axes, late) for arg in call.args], call.attrs))
        late[var] = early, axes
        return relax.op.permute_dims(early, axes)

    moved = clean(rewritten(mod, replace, late.clear))
    return moved if _transposes(moved) <= _transposes(mod) else mod


def _transposes(mod: IRModule) -> int:
    return sum(operator(binding.value) == "relax.permute_dims" for binding in bindings_of(mod))


def _transposed(call: Call, var: relax.Var, late: Late) -> relax.Expr:
    """Returns a transpose of the first value that has the same elements; that if in its order."""
    data, rank = call.args[0], var.ty.ndim
    axes = [int(axis) % rank for axis in call.attrs.axes or reversed(range(rank))]
    source, before = late.get(data, (data, tuple(range(rank))))
    joined = tuple(before[axis] for axis in axes)
    if joined == tuple(range(rank)):
        return source
    late[var] = source, joined
    return relax.op.permute_dims(source, joined)


def _common_axes(call: Any, var: relax.Var, late: Late) -> tuple[int, ...] | None:
    """Returns the axes that all operands that are no constants were permuted by."""
    if operator(call) not in COMMUTING:
        return None
    tensors = [arg for arg in call.args if isinstance(arg.ty, relax.TensorType)]
    if not is_static(var.ty, *(arg.ty for arg in tensors)):
        return None
    found = {late[arg][1] if arg in late else None for arg in tensors if not _is_constant(arg)}
    axes = found.pop() if len(found) == 1 else None
    return axes if axes is not None and len(axes) == var.ty.ndim else None


def _early(arg: relax.Expr, axes: tuple[int, ...], late: Late) -> relax.Expr:
    """Returns an operand with its axes as they were before they were permuted."""
    if not _is_constant(arg):
        return late[arg][0] if arg in late else arg
    value = arg.value.numpy()
    whole = value.reshape((1,) * (len(axes) - value.ndim) + value.shape)
    return constant(whole.transpose(np.argsort(axes)), str(arg.ty.dtype)) if value.ndim else arg


def _is_constant(arg: relax.Expr) -> bool:
    return isinstance(arg, GenericConst)
