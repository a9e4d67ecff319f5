"""Computes models in 16-bit floats with sums of float32, as tensor cores do.

Convolutions and matrix products multiply 16-bit floats and add up in float32. What follows them
element by element, such as biases, residuals and activations, is computed in float32, too, and
becomes part of the layer's kernel. The end of each such chain is rounded to 16 bits, once, where it
is stored. Softmax, norms and reductions compute in float32. What only moves values moves 16 bits.
"""

from collections import defaultdict
from typing import Any

import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes.layout import ARITHMETIC
from chameleon_ray.compiler.passes.widen import WIDE
from chameleon_ray.compiler.relax import bindings_of, clean, constant, operator, with_out_dtype

PRODUCTS = {
    *("relax.matmul", "relax.nn.conv1d", "relax.nn.conv2d", "relax.nn.conv3d"),
    *("relax.nn.conv1d_transpose", "relax.nn.conv2d_transpose", "relax.nn.conv3d_transpose"),
}
"""Operators that multiply 16-bit floats and add up in float32."""
BINARY = {f"relax.{name}" for name in ARITHMETIC}
"""Operators of two operands that are computed in float32, like ``ELEMENTWISE``."""
ELEMENTWISE = {
    *BINARY,
    *(f"relax.{name}" for name in ("sigmoid", "tanh", "exp", "log", "sqrt", "rsqrt", "erf")),
    *(f"relax.{name}" for name in ("negative", "abs", "clip", "round", "floor", "ceil", "power")),
    *(f"relax.nn.{name}" for name in ("relu", "silu", "gelu", "gelu_tanh", "leakyrelu", "prelu")),
    *("relax.nn.softplus", "relax.square", "relax.where"),
}
"""Operators that are computed in float32, in the kernel of what comes before."""
NORMS = {
    **{f"relax.nn.{name}": 2 for name in ("layer_norm", "group_norm", "instance_norm")},
    "relax.nn.rms_norm": 1,
}
"""Norms, with the number of their parameters."""
REDUCTIONS = {
    *NORMS,
    *(f"relax.{name}" for name in ("mean", "sum", "variance", "std", "prod", "cumsum", "cumprod")),
    *("relax.nn.softmax", "relax.nn.log_softmax"),
    *(f"relax.nn.avg_pool{rank}d" for rank in (1, 2, 3)),
    *(f"relax.nn.adaptive_avg_pool{rank}d" for rank in (1, 2, 3)),
}
"""Operators that are computed in float32 and whose results are stored in 16 bits."""
MOVES = {
    *(f"relax.{name}" for name in ("reshape", "permute_dims", "squeeze", "expand_dims", "flatten")),
    *(f"relax.{name}" for name in ("concat", "split", "strided_slice", "take", "broadcast_to")),
    *(f"relax.{name}" for name in ("repeat", "tile", "flip", "stack", "nn.pad")),
    *(f"relax.nn.max_pool{rank}d" for rank in (1, 2, 3)),
    *(f"relax.nn.adaptive_max_pool{rank}d" for rank in (1, 2, 3)),
}
"""Operators whose results are values of their first argument; they keep 16 bits."""
LARGE = {
    *(f"relax.{name}" for name in ("exp", "power", "square", "sum", "prod", "cumsum", "cumprod")),
    *(f"relax.{name}" for name in ("variance", "rsqrt")),
}
"""Operators whose results may be out of float16's range; they are stored in float32."""


def in_half(mod: IRModule, dtype: str) -> IRModule:
    """Multiplies in 16-bit floats what the model multiplies in them or in float32.

    Inputs and outputs keep their types. What has nothing to do with a product is left alone, and so
    are operators that are not listed above.

    Args:
        mod: Constants and batch norms folded, in dataflow form, as are the calls' arguments.
        dtype: ``float16`` or ``bfloat16``.
    """
    return _Mixed(mod, dtype, WIDE).module()


def with_wide_sums(mod: IRModule, dtype: str) -> IRModule:
    """Adds up in float32 what a model of 16-bit floats computes in them; see ``in_half``."""
    return _Mixed(mod, dtype, dtype).module()


class _Mixed:
    """Rebuilds ``main``, and knows of each of its values which forms there are.

    A value that is not yet bound to its own variable is in ``wide``, as float32, or in ``narrow``,
    as 16-bit floats.
    """

    def __init__(self, mod: IRModule, dtype: str, own: str) -> None:
        """Takes the 16-bit type, and the type that the values have in the model."""
        self.mod, self.dtype, self.own = mod, dtype, own
        self.builder = relax.BlockBuilder(mod)
        self.users: dict[relax.Var, list[relax.Binding | None]] = defaultdict(list)
        for binding in bindings_of(mod):
            for var in relax.analysis.free_vars(binding.value):
                self.users[var].append(binding)
        for var in relax.analysis.free_vars(mod["main"].body.body):
            self.users[var].append(None)
        self.tuples: dict[relax.Var, list[relax.Expr]] = {}
        self.wide: dict[relax.Var, relax.Expr] = {}
        self.narrow: dict[relax.Var, relax.Expr] = {}
        self.mixed: set[relax.Var] = set()
        self.bound: set[relax.Var] = set()
        self.claimed: set[relax.Var] = set()
        self.bindings: list[relax.Binding] = []
        self.kind: Any = relax.Var
        self.span: Any = None
        for param in mod["main"].params:
            self._own(param)

    def module(self) -> IRModule:
        main, blocks = self.mod["main"], []
        for block in main.body.blocks:
            flows = isinstance(block, relax.DataflowBlock)
            self.bindings, self.kind = [], relax.DataflowVar if flows else relax.Var
            for binding in block.bindings:
                self._visit(binding)
            for binding in block.bindings:  # what later blocks can see
                if not isinstance(binding.var, relax.DataflowVar):
                    self._restore(binding.var)
                    self._own(binding.var)
            blocks.append(type(block)(self.bindings))
        body = relax.SeqExpr(blocks, main.body.body)
        changed = IRModule(self.mod.functions, attrs=self.mod.attrs)
        changed["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
        return clean(relax.transform.Normalize()(changed))

    def _visit(self, binding: relax.Binding) -> None:
        var, value, self.span = binding.var, binding.value, binding.var.span
        name = operator(value) if isinstance(binding, relax.VarBinding) else ""
        if isinstance(value, relax.Tuple) and isinstance(binding, relax.VarBinding):
            self.tuples[var] = list(value.fields)
        if isinstance(value, relax.TupleGetItem) and value.tuple_value in self.narrow:
            whole = self.narrow[value.tuple_value]
            self._bind(var, narrow=self._emit(relax.TupleGetItem(whole, value.index)))
        elif name in PRODUCTS and all(self._ours(arg) for arg in value.args):
            attrs = with_out_dtype(value.attrs, WIDE)
            args = [self._narrowed(arg) for arg in value.args]
            self._finish(var, name, self._emit(Call(value.op, args, attrs)))
        elif name in MOVES and self._is_mixed(value):
            moved = Call(
                value.op, [self._mapped(a, self._narrowed) for a in value.args], value.attrs
            )
            self._bind(var, narrow=self._emit(moved))
        elif name in ELEMENTWISE | REDUCTIONS and self._is_mixed(value) and self._ours(var):
            args = [self._mapped(arg, self._widened) for arg in value.args]
            self._finish(var, name, self._emit(Call(value.op, args, value.attrs)))
        else:
            for used in relax.analysis.free_vars(value):
                self._restore(used)
            self.bindings.append(binding)
            self._own(var)

    def _finish(self, var: relax.Var, name: str, wide: relax.Var) -> None:
        """Keeps a result of float32 for one operator that may join it; else rounds it."""
        users = self.users[var]
        needs = {operator(user.value) if user else "" for user in users}
        user = users[0] if len(users) == 1 else None
        if user and needs <= ELEMENTWISE and _same_shape(var, user.var):
            joins = user.var not in self.claimed
            self.claimed.add(user.var)
        else:
            joins = False
        listed = bool(needs & (PRODUCTS | MOVES | ELEMENTWISE | REDUCTIONS))
        if joins or name in LARGE or (self.own == WIDE and not listed):
            self._bind(var, wide=wide)
        else:
            self._bind(var, narrow=self._emit(relax.op.astype(wide, self.dtype)))

    def _bind(self, var: relax.Var, **forms: relax.Expr) -> None:
        for form, value in forms.items():
            getattr(self, form)[var] = value
        self.mixed.add(var)

    def _own(self, var: relax.Var) -> None:
        """Notes that a value is bound to its own variable."""
        self.bound.add(var)
        if self._ours(var):
            forms = (self.wide, self.narrow) if self.own == WIDE else (self.narrow, self.wide)
            forms[0][var] = var
            forms[1].pop(var, None)
            if self.own != WIDE:
                self.mixed.add(var)

    def _restore(self, var: relax.Var) -> None:
        """Binds a value to its own variable."""
        if var in self.bound or not (var in self.wide or var in self.narrow):
            return
        if not isinstance(var.ty, relax.TensorType):  # a tuple of moved values
            whole = self.narrow[var]
            fields = [
                self._emit(relax.op.astype(self._emit(relax.TupleGetItem(whole, n)), self.own))
                for n in range(len(var.ty.fields))
            ]
            value: relax.Expr = relax.Tuple(fields)
        else:
            value = self._widened(var) if self.own == WIDE else self._narrowed(var)
        self.bindings.append(relax.VarBinding(var, value))
        self.bound.add(var)

    def _ours(self, value: relax.Expr) -> bool:
        ty = getattr(value, "ty", None)
        return isinstance(ty, relax.TensorType) and str(ty.dtype) == self.own

    def _is_mixed(self, call: Call) -> bool:
        """Whether a call has an argument that comes from a product."""
        return any(arg in self.mixed for arg in self._leaves(call))

    def _leaves(self, call: Call) -> list[relax.Expr]:
        found: list[relax.Expr] = []
        for arg in call.args:
            found += self._fields(arg) or [arg]
        return [arg for arg in found if isinstance(arg, relax.Var)]

    def _fields(self, arg: relax.Expr) -> list[relax.Expr] | None:
        if isinstance(arg, relax.Tuple):
            return list(arg.fields)
        return self.tuples.get(arg) if isinstance(arg, relax.Var) else None

    def _mapped(self, arg: relax.Expr, form: Any) -> relax.Expr:
        """Gives an argument, or all fields of a tuple, another form; other types stay."""
        fields = self._fields(arg)
        if fields is not None:
            return relax.Tuple([self._mapped(field, form) for field in fields])
        return form(arg) if self._ours(arg) else arg

    def _narrowed(self, value: relax.Expr) -> relax.Expr:
        if isinstance(value, GenericConst):
            return constant(value.value.numpy(), self.dtype)
        if value not in self.narrow:
            self.narrow[value] = self._emit(relax.op.astype(self.wide[value], self.dtype))
        return self.narrow[value]

    def _widened(self, value: relax.Expr) -> relax.Expr:
        """Returns the form of float32; one that was rounded is converted for each use anew."""
        if isinstance(value, GenericConst):
            return constant(value.value.numpy(), WIDE)
        if value in self.wide:
            return self.wide[value]
        return self._emit(relax.op.astype(self.narrow[value], WIDE))

    def _emit(self, value: relax.Expr) -> relax.Var:
        value = self.builder.normalize(value)
        var = self.kind("value", value.ty, self.span)
        self.bindings.append(relax.VarBinding(var, value))
        return var


def _same_shape(one: relax.Var, other: relax.Var) -> bool:
    return bool(tvm_ffi.structural_equal(one.ty.shape, other.ty.shape))
