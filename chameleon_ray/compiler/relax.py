"""Helpers to read and rewrite a Relax module: operators, types, constants and bindings."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes  # noqa: F401  teaches numpy bfloat16 and short integers
import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule, Span

WIDENED = {"int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}
"""Types of integers that no constant has, and those that it has instead."""


def operator(value: Any) -> str:
    """Returns the name of the operator that a call calls; empty for anything else."""
    is_operator = isinstance(value, Call) and isinstance(value.op, tvm.ir.Op)
    return value.op.name if is_operator else ""


def is_static(*types: Any) -> bool:
    """Whether all sizes of tensors of these types are known."""
    shapes = [getattr(ty, "shape", None) for ty in types]
    return all(
        isinstance(shape, relax.ShapeExpr)
        and all(isinstance(size, tvm.tirx.IntImm) for size in shape)
        for shape in shapes
    )


def constant(value: np.ndarray, dtype: str) -> GenericConst:
    """Makes a Relax constant; unlike ``relax.const`` it keeps 64 bits, and copies only once.

    Integers of less than 8 bits have 8, as TVM packs those, and has no operators for them.
    """
    kept = WIDENED.get(np.dtype(dtype).name, dtype)
    return relax.const(tvm.runtime.tensor(np.asarray(value, kept, order="C")))


def with_out_dtype(attrs: Any, dtype: str) -> Any:
    """Returns an operator's attributes with an output of another type."""
    described = type(attrs).__tvm_ffi_type_info__
    fields = {field.name: getattr(attrs, field.name) for field in described.fields}
    return tvm.ir.make_node(described.type_key, **fields | {"out_dtype": dtype})


def bindings_of(mod: IRModule) -> list[relax.Binding]:
    """Returns all bindings of ``main``, in order."""
    return [binding for block in mod["main"].body.blocks for binding in block.bindings]


def uses_of(mod: IRModule) -> Counter[relax.Var]:
    """Counts the bindings of ``main``, with its result, in which each variable is read."""
    values = [*(binding.value for binding in bindings_of(mod)), mod["main"].body.body]
    return Counter(var for value in values for var in relax.analysis.free_vars(value))


def rewrite(mod: IRModule, replace: Callable[[relax.Binding], relax.Expr]) -> IRModule:
    """Gives, in order, each variable bound in ``main`` a new value; calls in it may be nested.

    Where each keeps its own value, the module is returned as it is.
    """
    main = mod["main"]
    blocks = []
    same = True
    for block in main.body.blocks:
        bindings = []
        for old in block.bindings:
            value = replace(old) if isinstance(old, relax.VarBinding) else old.value
            kept = value.same_as(old.value)
            bindings.append(old if kept else relax.VarBinding(old.var, value))
            same = same and kept
        blocks.append(type(block)(bindings))
    if same:
        return mod
    body = relax.SeqExpr(blocks, main.body.body)
    changed = IRModule(mod.functions, attrs=mod.attrs, global_infos=mod.global_infos)
    changed["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    return relax.transform.Normalize()(changed)


Emit = Callable[[relax.Expr], relax.Var]
"""Binds a value to a new variable, whose type is known from then on."""


def rewrite_at_length(
    mod: IRModule,
    replace: Callable[[relax.Binding, Emit], relax.Expr],
    begin: Callable[[], None] = lambda: None,
) -> IRModule:
    """Gives, in order, each variable bound in ``main`` a new value, which may need other bindings.

    Args:
        mod: The module.
        replace: Returns the new value of a binding, given it and a function that binds what the
            value is made of, which gets the span of the variable; no call in either is nested.
        begin: Called before each block; what an earlier one bound for itself cannot be read in it.
    """
    builder = relax.BlockBuilder(mod)
    main = mod["main"]
    blocks = []
    for block in main.body.blocks:
        begin()
        bindings: list[relax.Binding] = []
        kind = relax.DataflowVar if isinstance(block, relax.DataflowBlock) else relax.Var

        def emit(
            span: Span, value: relax.Expr, bound: Any = bindings, kind: Any = kind
        ) -> relax.Var:
            var = kind("value", builder.normalize(value).ty, span)
            bound.append(relax.VarBinding(var, value))
            return var

        for old in block.bindings:
            if isinstance(old, relax.VarBinding):
                old = relax.VarBinding(old.var, replace(old, partial(emit, old.var.span)))
            bindings.append(old)
        blocks.append(type(block)(bindings))
    body = relax.SeqExpr(blocks, main.body.body)
    changed = IRModule(mod.functions, attrs=mod.attrs, global_infos=mod.global_infos)
    changed["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    return relax.transform.Normalize()(changed)


def clean(mod: IRModule) -> IRModule:
    """Carries constants to where they are used, and drops what nothing uses."""
    mod = relax.transform.CanonicalizeBindings()(mod)
    return relax.transform.DeadCodeElimination(["main"])(mod)
