"""Loops of products in the form that a GPU's tensor cores take."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from tvm import relax, te
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.relax import constant, operator
from chameleon_ray.measure.precision import PRECISION, SHORT, TF32

Rule = Callable[[relax.BlockBuilder, Call], relax.Expr]


def rules(types: Collection[str]) -> dict[str, Rule]:
    """Returns rules that legalise products of these types, which are 16-bit floats or TF32.

    Constant matrices are stored by columns: the numbers that are multiplied and added up for one
    output follow each other, as in the data. Loops that may round float32 to TF32 say so in their
    attribute ``PRECISION``.
    """
    return {
        "relax.matmul": partial(_matmul, types=types),
        "relax.nn.conv2d": partial(_conv2d, types=types),
    }


def _matmul(builder: relax.BlockBuilder, call: Call, types: Collection[str]) -> relax.Expr:
    data, weights = call.args
    dtype = str(data.ty.dtype)
    wanted = dtype in SHORT or (dtype == "float32" and TF32 in types)
    constant_matrix = isinstance(weights, GenericConst) and weights.ty.ndim == 2
    if not (wanted and constant_matrix and data.ty.ndim > 1):
        made = call.op.get_attr("FLegalize")(builder, call)
    else:
        columns = constant(weights.value.numpy().T, str(weights.ty.dtype))
        product = partial(matmul_by_columns, dtype=str(call.ty.dtype))
        made = builder.call_te(product, data, columns, primfunc_name_hint="matmul")
    return _marked(builder, made) if dtype == "float32" and TF32 in types else made


def _conv2d(builder: relax.BlockBuilder, call: Call, types: Collection[str]) -> relax.Expr:
    made = call.op.get_attr("FLegalize")(builder, call)
    wanted = str(call.args[0].ty.dtype) == "float32" and TF32 in types
    return _marked(builder, made) if wanted and call.attrs.groups == 1 else made


def matmul_by_columns(data: Any, weights: Any, dtype: str) -> Any:
    """Multiplies matrices: ``out[..., i, j] = sum data[..., i, k] weights[j, k]``.

    Args:
        data: ``(..., M, K)``.
        weights: ``(N, K)``.
        dtype: Type of the products and sums.
    """
    k = te.reduce_axis((0, data.shape[-1]), "k")

    def point(*place: Any) -> Any:
        *row, j = place
        return te.sum(data[(*row, k)].astype(dtype) * weights[j, k].astype(dtype), axis=k)

    return te.compute((*data.shape[:-1], weights.shape[0]), point, name="matmul")


def _marked(builder: relax.BlockBuilder, call: relax.Expr) -> relax.Expr:
    """Gives the loops that a call calls the attribute ``PRECISION``."""
    if operator(call) != "relax.call_tir":
        return call
    variable = call.args[0]
    function = builder.get()[variable].with_attr(PRECISION, TF32)
    builder.update_func(variable, function)
    return call


def with_precision(fused: IRModule, grouped: IRModule) -> IRModule:
    """Gives fused loops the attribute ``PRECISION`` of those that they are made of.

    Args:
        fused: A module after ``FuseTIR``.
        grouped: The module before.
    """
    marked = {
        variable.name_hint
        for variable, function in grouped.functions.items()
        if isinstance(function, relax.Function) and _calls_marked(function, grouped)
    }
    changed = IRModule(fused.functions, attrs=fused.attrs, global_infos=fused.global_infos)
    for variable, function in fused.functions.items():
        if variable.name_hint in marked and not isinstance(function, relax.Function):
            changed[variable] = function.with_attr(PRECISION, TF32)
    return changed


def _calls_marked(function: relax.Function, module: IRModule) -> bool:
    found: list[bool] = []

    def visit(node: Any) -> None:
        if operator(node) == "relax.call_tir":
            found.append(PRECISION in (module[node.args[0]].attrs or {}))

    relax.analysis.post_order_visit(function.body, visit)
    return any(found)
