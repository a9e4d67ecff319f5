"""Reductions of empty tensors, Booleans, integers and infinities, over axes that may be fed."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from onnx import helper
from tvm import relax, te, tirx
from tvm.ir import Expr

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.implied import REDUCTIONS, reductions
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant, is_static

FRACTIONAL = {"ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"}
"""Reductions of integers that are computed with fractions, which the result is without."""


def reduce(node: Node) -> relax.Expr:
    """Converts a reduction."""
    data = node.input(0)
    before = tuple(int(size) for size in data.ty.shape) if is_static(data.ty) else None
    if before is not None and 0 in before:
        shape = node.declared_shape("axes")
        return constant(np.broadcast_to(_of_nothing(node), shape), str(data.ty.dtype))
    wide = _wide(node, str(data.ty.dtype))
    if wide:
        number = node.emit(relax.op.astype(data, wide))
        reduced = reduce(replace(node, inputs=(number, *node.inputs[1:])))
        return relax.op.astype(node.emit(reduced), str(data.ty.dtype))
    axes = node.optional(1)
    if axes is None or node.known(1) is not None:
        return _over_known(node)
    if before is None:
        raise Untranslatable(
            "its axes and the shape of its input are computed at run time; export the model with "
            "constant axes"
        )
    return _over_any(node, before, node.emit(relax.op.astype(axes, "int64")))


def _wide(node: Node, dtype: str) -> str:
    """Returns the type that a reduction is computed in; empty where it is the data's own."""
    if dtype == "bool":
        return "uint8"
    return "float64" if "int" in dtype and node.proto.op_type in FRACTIONAL else ""


def _over_any(node: Node, before: tuple[int, ...], axes: relax.Expr) -> relax.Expr:
    """Reduces over each choice of axes that fits the declared shape, and takes the one asked for.

    Choices are few, as the shape of the result leaves out most.
    """
    keeps = bool(node.attributes.get("keepdims", 1))
    count = int(axes.ty.shape[0])
    if count == 0:
        return _over(node, ())
    after = node.declared_shape("axes")
    choices = reductions(before, count, after, keeps)
    if not choices:
        raise Untranslatable(
            "its axes are computed at run time, and no axes lead to the declared shape; export "
            "the model with constant axes"
        )
    result = node.emit(_over(node, choices[0]))
    for choice in choices[1:]:
        test = functools.partial(_asks, choice=choice, rank=len(before))
        asked = node.builder.emit_te(test, axes, primfunc_name_hint="are_axes")
        result = node.emit(relax.op.where(asked, node.emit(_over(node, choice)), result))
    return result


def _over(node: Node, axes: Sequence[int]) -> relax.Expr:
    known = constant(np.array(axes, np.int64), "int64")
    return _over_known(replace(node, inputs=(node.input(0), known)))


def _over_known(node: Node) -> relax.Expr:
    """Reduces over axes that are known; TVM takes no float's largest value for infinity."""
    data, least = node.input(0), node.proto.op_type == "ReduceMin"
    dtype, given = str(data.ty.dtype), node.known(1)
    axes = list(node.attributes.get("axes", ()) if given is None else given)
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return _of_each(node)
    if "float" not in dtype or node.proto.op_type not in ("ReduceMax", "ReduceMin"):
        return tvm_converters.convert(node)
    if not is_static(data.ty):
        return tvm_converters.convert(node)
    extents = [int(size) for size in data.ty.shape]
    chosen = {int(axis) % len(extents) for axis in axes} or set(range(len(extents)))
    end = tirx.const(np.inf if least else -np.inf, dtype)
    extreme = tirx.min if least else tirx.max
    either = te.comm_reducer(lambda one, other: extreme(one, other), lambda _: end)
    keeps = bool(node.attributes.get("keepdims", 1))
    shape = [1 if axis in chosen else extent for axis, extent in enumerate(extents)]

    def compute(data: te.Tensor) -> te.Tensor:
        reduced = {axis: te.reduce_axis((0, extents[axis])) for axis in sorted(chosen)}

        def value(*index: Expr) -> Expr:
            places = iter(index)
            at = [reduced[axis] if axis in chosen else next(places) for axis in range(len(extents))]
            return either(data(*at), axis=list(reduced.values()))

        kept = [extent for axis, extent in enumerate(extents) if axis not in chosen]
        return te.compute(kept, value, "extreme")

    result = node.builder.emit_te(compute, data, primfunc_name_hint="extreme")
    return relax.op.reshape(result, shape) if keeps else result


def _of_each(node: Node) -> relax.Expr:
    """Reduces each element by itself, as an axis of one; TVM's converter leaves it as it is."""
    proto = helper.make_node(
        node.proto.op_type, list(node.proto.input), list(node.proto.output), keepdims=0
    )
    data = node.emit(relax.op.expand_dims(node.input(0), 0))
    alone = replace(node, proto=proto, version=18, inputs=(data,), attributes={"keepdims": 0})
    return _over(alone, (0,))


def _asks(axes: te.Tensor, choice: Sequence[int], rank: int) -> te.Tensor:
    """Computes whether all axes at run time are among those chosen."""
    each = [
        tirx.any(*(axes[row] == one - back for one in choice for back in (0, rank)))
        for row in range(int(axes.shape[0]))
    ]
    return te.compute((), lambda: tirx.all(*each), "are_axes")


def _of_nothing(node: Node) -> np.ndarray:
    """Returns the result of reducing no elements."""
    dtype = np.dtype(str(node.input(0).ty.dtype))
    kind = node.proto.op_type.removeprefix("Reduce")
    if kind in ("Max", "Min"):
        if dtype.kind == "b":
            return np.asarray(kind == "Min")
        ends = np.iinfo(dtype) if dtype.kind in "iu" else None
        low, high = (-np.inf, np.inf) if ends is None else (ends.min, ends.max)
        return np.asarray(low if kind == "Max" else high, dtype)
    results = {"Prod": 1, "LogSum": -np.inf, "LogSumExp": -np.inf, "Mean": np.nan}
    return np.asarray(results.get(kind, 0), dtype)


CONVERTERS: dict[Key, Converter] = {("", f"Reduce{kind}"): reduce for kind in REDUCTIONS}
