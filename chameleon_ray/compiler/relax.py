"""Helpers to read and rewrite a Relax module: operators, types, constants and bindings."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule


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
    """Makes a Relax constant; unlike ``relax.const`` it keeps 64 bits, and copies only once."""
    return relax.const(tvm.runtime.tensor(np.asarray(value, dtype, order="C")))


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


def clean(mod: IRModule) -> IRModule:
    """Carries constants to where they are used, and drops what nothing uses."""
    mod = relax.transform.CanonicalizeBindings()(mod)
    return relax.transform.DeadCodeElimination(["main"])(mod)
