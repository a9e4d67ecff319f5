"""Computes models of 16-bit floats in float32, on CPUs that have no fast arithmetic of these types.

Left alone, TVM converts both operands and the result of each single operation. Here a model's
inputs are converted when they are read, its outputs when they are written, and all between is of
float32. The weights of packed layers and the tables of embeddings stay as short as they were, and
are converted in registers.

The model's own conversions to 16 bits still round, and so do the operands of softmax. Attention
masks need that: ``-65504 + x`` is -65504 for any small x in float16, so a row that is masked as a
whole has equal probabilities. Elsewhere, a value beyond the range of the 16-bit type is finite,
where arithmetic of that type would make it infinite.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule
from tvm.relax.expr_functor import PyExprMutator, mutator

from chameleon_ray.compiler.passes.pack_weights import NARROWEST, lanes
from chameleon_ray.compiler.relax import constant, operator, rewrite, with_out_dtype

WIDE = "float32"
"""Type that is computed with in place of the 16-bit ones."""
ROUNDED = ("relax.nn.softmax", "relax.nn.log_softmax")
"""Operators whose operand is rounded to the 16 bits that it has in the model."""
FIXED = ("relax.call_tir", "relax.call_tir_inplace", "relax.call_dps_packed")
"""Operators that call functions, whose arguments are of given types."""

ARITHMETIC = (tvm.tirx.Add, tvm.tirx.Sub, tvm.tirx.Mul, tvm.tirx.Div, tvm.tirx.Max, tvm.tirx.Min)
"""Expressions of loop nests that CPUs without arithmetic of a type compute slowly."""


def narrow_types(mod: IRModule, types: Collection[str]) -> frozenset[str]:
    """Returns which of the types the tensors of ``main`` have: parameters, constants or results."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, relax.Var | GenericConst):
            found.update(_dtypes(node.ty))

    main = mod["main"]
    for param in main.params:
        visit(param)
    relax.analysis.post_order_visit(main.body, visit)
    return frozenset(found.intersection(types))


def widen(mod: IRModule, types: Collection[str]) -> IRModule:
    """Computes in float32 what the model computes in the given types.

    Inputs and outputs keep their types. Functions that ``main`` calls are left as they are.

    Args:
        mod: A model as it was imported.
        types: 16-bit floats.
    """
    if not types:
        return mod
    main, widening = mod["main"], _Widening(types)
    converted = []
    for param in main.params:
        if _dtypes(param.ty) & widening.types:
            wide = relax.Var(param.name, relax.TensorType(param.ty.shape, WIDE))
            converted.append(relax.VarBinding(wide, relax.op.astype(param, WIDE)))
            widening.set_var_remap(param, wide)
    body = widening.visit_expr(main.body)
    blocks = [relax.BindingBlock(converted), *body.blocks] if converted else body.blocks
    result = _restored(body.body, main.body.body.ty)
    body = relax.SeqExpr(blocks, result)
    changed = IRModule(mod.functions, attrs=mod.attrs, global_infos=mod.global_infos)
    changed["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    return relax.transform.Normalize()(changed)


def functions_left(mod: IRModule, types: Collection[str]) -> list[str]:
    """Returns the names of the module's loop nests that compute in the given types."""
    return sorted(
        variable.name_hint
        for variable, function in mod.functions.items()
        if isinstance(function, tvm.tirx.PrimFunc) and _computes(function, types)
    )


def _computes(function: Any, types: Collection[str]) -> bool:
    """Whether there is arithmetic of one of the types in a loop nest."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if str(node.ty) in types:
            found.append(node)

    tvm_ffi.structural_walk(function.body, (ARITHMETIC, visit))
    return bool(found)


def keep_narrow(mod: IRModule, types: Collection[str], rounding: bool = False) -> IRModule:
    """Stores weights in 16 bits that were 16 bits long before they were widened.

    These are the constants of float32 that one of the types has exactly. They are kept for 2-D
    convolutions of one group and products with a matrix, which convert them in registers, and for
    tables that rows are taken from.

    Args:
        mod: A widened model with folded constants. Its target must be in force.
        types: 16-bit floats that the model has had.
        rounding: Whether weights that no type has exactly are rounded to the only one.
    """

    def kept(binding: relax.Binding) -> relax.Expr:
        call = binding.value
        name = operator(call)
        if name == "relax.take" and isinstance(call.args[0], GenericConst):
            table = _narrow(call.args[0], types, rounding)
            return relax.op.astype(Call(call.op, [table, call.args[1]], call.attrs), WIDE)
        if name not in ("relax.nn.conv2d", "relax.matmul") or not _is_kept(call):
            return call
        weights = _narrow(call.args[1], types, rounding)
        return Call(call.op, [call.args[0], weights], with_out_dtype(call.attrs, WIDE))

    return rewrite(mod, kept) if types else mod


@mutator
class _Widening(PyExprMutator):  # type: ignore[misc]
    """Rebuilds expressions with float32 in place of the given types."""

    def __init__(self, types: Collection[str]) -> None:
        super().__init__()
        self.types = frozenset(types)

    def visit_generic_const_(self, op: GenericConst) -> relax.Expr:
        narrow = _dtypes(op.ty) & self.types
        return constant(op.value.numpy().astype(WIDE), WIDE) if narrow else op

    def visit_call_(self, op: Call) -> relax.Expr:
        args = [self.visit_expr(arg) for arg in op.args]
        if operator(op) == "relax.astype":
            return self._converted(args[0], op)
        if operator(op) in FIXED or not operator(op):
            args = [_restored(new, old.ty) for new, old in zip(args, op.args, strict=True)]
        if operator(op) in ROUNDED and _dtypes(op.args[0].ty) & self.types:
            args[0] = relax.op.astype(_restored(args[0], op.args[0].ty), WIDE)
        attrs = op.attrs
        if str(getattr(attrs, "out_dtype", "")) in self.types:
            attrs = with_out_dtype(attrs, WIDE)
        return self._wide(Call(op.op, args, attrs, op.ty_args))

    def visit_match_cast_(self, binding: relax.MatchCast) -> None:
        if not _dtypes(binding.ty) & self.types:
            super().visit_match_cast_(binding)
            return
        shape, rank = binding.ty.shape, binding.ty.ndim
        ty = relax.TensorType(shape, WIDE) if shape else relax.TensorType(dtype=WIDE, ndim=rank)
        var = type(binding.var)(binding.var.name, ty)
        matched = relax.MatchCast(var, self.visit_expr(binding.value), ty)
        self.builder_.emit_normalized(matched)
        self.set_var_remap(binding.var, var)

    def _converted(self, value: relax.Expr, call: Call) -> relax.Expr:
        """Converts a value as a call of the model does; what was of that type is left alone."""
        dtype = str(call.attrs.dtype)
        if str(call.args[0].ty.dtype) == dtype:
            return value
        same = str(value.ty.dtype) == dtype
        return value if same else self._wide(relax.op.astype(value, dtype))

    def _wide(self, value: relax.Expr) -> relax.Expr:
        """Converts what is still of one of the types to float32."""
        value = self.builder_.normalize(value)
        if not _dtypes(value.ty) & self.types:
            return value
        if isinstance(value.ty, relax.TupleType):
            whole = self.builder_.emit(value)
            places = range(len(value.ty.fields))
            parts = [self.builder_.normalize(relax.TupleGetItem(whole, place)) for place in places]
            return self.builder_.normalize(relax.Tuple([self._wide(part) for part in parts]))
        return self.builder_.normalize(relax.op.astype(value, WIDE))


def _restored(value: relax.Expr, ty: Any) -> relax.Expr:
    """Converts a value back to the type that it has in the model; its own type must be known."""
    if isinstance(ty, relax.TupleType):
        if _dtypes(value.ty) == _dtypes(ty):
            return value
        fields = value.fields if isinstance(value, relax.Tuple) else None
        return relax.Tuple(
            [
                _restored(fields[place] if fields else relax.TupleGetItem(value, place), field)
                for place, field in enumerate(ty.fields)
            ]
        )
    same = _dtypes(value.ty) == _dtypes(ty)
    return value if same else relax.op.astype(value, next(iter(_dtypes(ty))))


def _dtypes(ty: Any) -> set[str]:
    """Returns the element types of a tensor, or of all the tensors in a tuple."""
    if isinstance(ty, relax.TupleType):
        return {dtype for field in ty.fields for dtype in _dtypes(field)}
    return {str(ty.dtype)} if isinstance(ty, relax.TensorType) else set()


def _is_kept(call: Call) -> bool:
    """Whether a layer's weights are packed, and converted in registers."""
    data, weights = call.args
    if not isinstance(weights, GenericConst) or {str(data.ty.dtype), str(call.ty.dtype)} != {WIDE}:
        return False
    if operator(call) == "relax.matmul":
        shape = weights.ty.shape
        return len(shape) == 2 and data.ty.ndim > 1 and _has_blocks(shape[1])
    attrs = call.attrs
    plain = attrs.groups == 1 and str(attrs.kernel_layout) == "OIHW"
    return plain and _has_blocks(weights.ty.shape[0])


def _has_blocks(channels: Any) -> bool:
    return lanes(int(channels), WIDE) >= NARROWEST


def _narrow(weights: GenericConst, types: Collection[str], rounding: bool) -> GenericConst:
    """Returns a constant in the first type that has all of its values; as it is where none has.

    With ``rounding``, it is enough that none of them becomes infinite.
    """
    if str(weights.ty.dtype) != WIDE:
        return weights
    values = weights.value.numpy()
    for dtype in sorted(types):
        with np.errstate(over="ignore"):
            short = constant(values, dtype)
        back = short.value.numpy().astype(WIDE)
        same = (np.isfinite(back) == np.isfinite(values)).all() if rounding else False
        if same or np.array_equal(back, values, equal_nan=True):
            return short
    return weights
