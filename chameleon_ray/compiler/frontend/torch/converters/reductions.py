"""Operators that reduce axes, or run along one."""

from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Converter, Node, Untranslatable

Op = Callable[..., relax.Expr]


def axes_of(node: Node) -> list[int]:
    """Returns the axes that are reduced, counted from the front; all where none are given."""
    ndim = node.tensor("self").ty.ndim
    dims = node.get("dim", [])
    dims = [dims] if isinstance(dims, int) else list(dims)
    return [int(dim) % ndim for dim in dims] if dims and ndim else list(range(ndim))


def reduced(op: Op) -> Converter:
    """Makes a converter of a reduction that computes in the type of its output."""

    def convert(node: Node) -> relax.Expr:
        x = node.tensor("self", node.output.dtype)
        axes = axes_of(node)
        return op(x, axes, bool(node.get("keepdim", False))) if axes else x

    return convert


def tested(op: Op) -> Converter:
    """Makes a converter of ``any`` or ``all``, by way of bytes."""

    def convert(node: Node) -> relax.Expr:
        x = node.tensor("self")
        dtype = str(x.ty.dtype)
        truth = x if dtype == "bool" else relax.op.not_equal(x, node.as_tensor(0, dtype))
        numbers, axes = node.cast(truth, "int32"), axes_of(node)
        if axes:
            numbers = op(numbers, axes, bool(node.get("keepdim", False)))
        return relax.op.not_equal(numbers, node.as_tensor(0, "int32"))

    return convert


def extreme(op: Op, place: Op) -> Converter:
    """Makes a converter of the largest or smallest along an axis, with its place."""

    def convert(node: Node) -> Sequence[relax.Expr]:
        x, keep = node.tensor("self"), bool(node["keepdim"])
        if not x.ty.ndim:
            return [x, node.as_tensor(0, "int64")]
        numbers = node.cast(x, "int32") if str(x.ty.dtype) == "bool" else x
        return [
            op(numbers, [node.axis()], keep),
            relax.op.astype(place(numbers, node.axis(), keep), "int64"),
        ]

    return convert


def placed(op: Op) -> Converter:
    """Makes a converter of the place of the largest or smallest, of all or along an axis."""

    def convert(node: Node) -> relax.Expr:
        x = node.tensor("self")
        if not x.ty.ndim:
            return node.as_tensor(0, "int64")
        if node.get("dim") is None:
            x = node.emit(node.reshape(x, (-1,)))
            found = op(x, 0, False)
            shape = node.output.shape
            return found if not shape else node.reshape(found, shape)
        return op(x, node.axis(), bool(node["keepdim"]))

    return convert


def running(op: Op) -> Converter:
    """Makes a converter of a running sum or product."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        x = node.tensor("self", dtype)
        return op(x, node.axis(), dtype) if x.ty.ndim else x

    return convert


def variance(node: Node) -> relax.Expr:
    """Converts a variance, whose divisor may be smaller by a correction than the count."""
    dtype, axes, keep = node.output.dtype, axes_of(node), bool(node.get("keepdim", False))
    x = node.tensor("self", dtype)
    correction = node.get("correction", 1)
    if "unbiased" in node.arguments:
        correction = 1 if node["unbiased"] else 0
    count = 1
    for axis in axes:
        count *= node.shape("self")[axis]
    centred = node.emit(relax.op.subtract(x, relax.op.mean(x, axes, True)))
    total = relax.op.sum(relax.op.multiply(centred, centred), axes, keep)
    divisor = max(count - correction, 0)
    return relax.op.divide(total, node.as_tensor(float(divisor), dtype))


def norm(node: Node) -> relax.Expr:
    """Converts a vector norm of any order."""
    order, dtype = float(node["ord"]), node.output.dtype
    axes, keep = axes_of(node), bool(node.get("keepdim", False))
    size = relax.op.abs(node.tensor("self", dtype))
    if not axes:
        return (
            size if order else node.cast(relax.op.not_equal(size, node.as_tensor(0, dtype)), dtype)
        )
    if order == float("inf"):
        return relax.op.max(size, axes, keep)
    if order == float("-inf"):
        return relax.op.min(size, axes, keep)
    if order == 0:
        there = relax.op.not_equal(size, node.as_tensor(0, dtype))
        return relax.op.sum(relax.op.astype(there, dtype), axes, keep)
    if order == 1:
        return relax.op.sum(size, axes, keep)
    if order == 2:
        size = node.emit(size)
        return relax.op.sqrt(relax.op.sum(relax.op.multiply(size, size), axes, keep))
    total = relax.op.sum(relax.op.power(size, node.as_tensor(order, dtype)), axes, keep)
    return relax.op.power(total, node.as_tensor(1 / order, dtype))


def sort(node: Node) -> Sequence[relax.Expr]:
    """Converts a sort, which is stable, with the places of what it sorts."""
    x = node.tensor("self")
    if not x.ty.ndim:
        return [x, node.as_tensor(0, "int64")]
    axis, down = node.axis(), bool(node.get("descending", False))
    places = node.emit(relax.op.argsort(x, axis, down, "int64"))
    return [relax.op.gather_elements(x, places, axis), places]


def topk(node: Node) -> Any:
    """Converts the largest or smallest few along an axis."""
    x, count = node.tensor("self"), node["k"]
    if not isinstance(count, int):
        raise Untranslatable("how many it takes is known at run time only; take a fixed number")
    if not x.ty.ndim:
        return [x, node.as_tensor(0, "int64")]
    return relax.op.topk(x, count, node.axis(), "both", bool(node["largest"]), "int64")


def extreme_of(op: Op) -> Converter:
    """Makes a converter of the largest or smallest, which may be of truth values."""

    def convert(node: Node) -> relax.Expr:
        x = node.tensor("self")
        numbers = node.cast(x, "int32") if str(x.ty.dtype) == "bool" else x
        axes = axes_of(node)
        return op(numbers, axes, bool(node.get("keepdim", False))) if axes else x

    return convert


def mean(node: Node) -> relax.Expr:
    """Converts a mean."""
    x = node.tensor("self", node.output.dtype)
    axes = axes_of(node)
    return relax.op.mean(x, axes, bool(node.get("keepdim", False))) if axes else x


CONVERTERS: dict[str, Converter] = {
    "aten.sum.default": reduced(relax.op.sum),
    "aten.sum.dim_IntList": reduced(relax.op.sum),
    "aten.mean.default": mean,
    "aten.mean.dim": mean,
    "aten.prod.default": reduced(relax.op.prod),
    "aten.prod.dim_int": reduced(relax.op.prod),
    "aten.amax.default": extreme_of(relax.op.max),
    "aten.amin.default": extreme_of(relax.op.min),
    "aten.max.default": extreme_of(relax.op.max),
    "aten.min.default": extreme_of(relax.op.min),
    "aten.max.dim": extreme(relax.op.max, relax.op.argmax),
    "aten.min.dim": extreme(relax.op.min, relax.op.argmin),
    **{f"aten.any.{one}": tested(relax.op.max) for one in ("default", "dim", "dims")},
    **{f"aten.all.{one}": tested(relax.op.min) for one in ("default", "dim", "dims")},
    "aten.argmax.default": placed(relax.op.argmax),
    "aten.argmin.default": placed(relax.op.argmin),
    "aten.cumsum.default": running(relax.op.cumsum),
    "aten.cumprod.default": running(relax.op.cumprod),
    "aten.var.correction": variance,
    "aten.var.dim": variance,
    "aten.linalg_vector_norm.default": norm,
    "aten.sort.default": sort,
    "aten.sort.stable": sort,
    "aten.topk.default": topk,
}
