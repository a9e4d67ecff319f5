"""Stacks what the steps of a loop compute."""

from collections.abc import Sequence
from typing import Any

from tvm import relax, te, topi

from chameleon_ray.compiler.frontend.onnx.node import Node
from chameleon_ray.compiler.relax import is_static

AT_ONCE = 16
"""Most tensors that one loop nest joins; it chooses among them for each element."""
OPAQUE = 8
"""TVM's pattern of loop nests that are not fused with others."""


def stacked(node: Node, parts: Sequence[relax.Expr]) -> relax.Expr:
    """Stacks tensors of one shape along a new first axis, a few at a time.

    These loop nests stay apart. Fused, they would choose among all parts for each element.
    """
    if len(parts) <= AT_ONCE or not is_static(parts[0].ty):
        return node.emit(relax.op.stack(list(parts), 0))
    groups = [_call(node, topi.stack, group) for group in _groups(parts)]
    while len(groups) > 1:
        groups = [_call(node, topi.concatenate, group) for group in _groups(groups)]
    return groups[0]


def _groups(parts: Sequence[relax.Expr]) -> list[Sequence[relax.Expr]]:
    return [parts[start : start + AT_ONCE] for start in range(0, len(parts), AT_ONCE)]


def _call(node: Node, join: Any, group: Sequence[relax.Expr]) -> relax.Expr:
    if len(group) == 1 and join is topi.concatenate:
        return group[0]
    tensors = [te.placeholder(tuple(one.ty.shape), str(one.ty.dtype)) for one in group]
    whole = join(tensors, 0)
    function = te.create_prim_func([*tensors, whole], "int64").without_attr("global_symbol")
    function = function.with_attrs({"op_pattern": OPAQUE, "tirx.noalias": True})
    variable = node.builder.add_func(function, "join")
    shape = [int(size) for size in whole.shape]
    return node.emit(
        relax.call_tir(variable, list(group), relax.TensorType(shape, str(group[0].ty.dtype)))
    )
