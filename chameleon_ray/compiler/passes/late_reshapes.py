"""Moves reshapes behind what is computed element by element, so that this joins a product's kernel.

Importers multiply matrices, and give the result the shape that the model has before they add a bias
or apply an activation. A reshape that nothing else is joined with costs nothing at run time.
"""

from math import prod

from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes.mixed_precision import ELEMENTWISE, PRODUCTS
from chameleon_ray.compiler.relax import Emit, clean, constant, is_static, operator
from chameleon_ray.compiler.relax import rewrite_at_length as rewritten

COMMUTING = ELEMENTWISE - {"relax.nn.prelu", "relax.where"}
"""Operators of whose operands and result the shapes may be changed alike."""


def with_late_reshapes(mod: IRModule) -> IRModule:
    """Moves the reshapes of products' results behind operators that work element by element.

    What broadcasts to the shape that it has is left out, and of two reshapes the first.

    Args:
        mod: Its constants folded, in dataflow form.
    """
    late: dict[relax.Expr, relax.Var] = {}
    products: set[relax.Expr] = set()

    def replace(binding: relax.Binding, emit: Emit) -> relax.Expr:
        call, var = binding.value, binding.var
        name = operator(call)
        if name in ("relax.reshape", "relax.broadcast_to") and is_static(var.ty, call.args[0].ty):
            return _moved(call, var, late, products)
        before = (
            next((arg for arg in call.args if arg in late), None) if name in COMMUTING else None
        )
        if before is None or not all(_fits(arg, var) for arg in call.args):
            if name in PRODUCTS or (name in COMMUTING and not products.isdisjoint(call.args)):
                products.add(var)
            return call
        flat = late[before]
        args = [_flattened(arg, flat, late, emit) for arg in call.args]
        late[var] = emit(Call(call.op, args, call.attrs))
        products.add(late[var])
        return relax.op.reshape(late[var], var.ty.shape)

    return clean(rewritten(mod, replace, late.clear))


def _moved(
    call: Call, var: relax.Var, late: dict[relax.Expr, relax.Var], products: set[relax.Expr]
) -> relax.Expr:
    """Returns a reshape, or a broadcast, of the first value that has the same elements."""
    data = call.args[0]
    size = prod(_shape(data))
    if size != prod(_shape(var)):
        return call
    source = late.get(data, data)
    if source in products and _shape(source)[-1:] == _shape(var)[-1:]:
        late[var] = source
    if _shape(source) == _shape(var):
        return source
    return relax.op.reshape(source, var.ty.shape)


def _fits(arg: relax.Expr, result: relax.Var) -> bool:
    """Whether an operand has the result's shape, or is a number or one for each last place."""
    if not isinstance(getattr(arg, "ty", None), relax.TensorType):
        return True
    if not is_static(arg.ty, result.ty):
        return False
    shape = _shape(arg)
    if isinstance(arg, GenericConst):
        return prod(shape[:-1]) == 1
    return shape == _shape(result)


def _flattened(
    arg: relax.Expr, flat: relax.Var, late: dict[relax.Expr, relax.Var], emit: Emit
) -> relax.Expr:
    """Gives an operand the shape of ``flat``, or one that broadcasts to it."""
    if not isinstance(getattr(arg, "ty", None), relax.TensorType):
        return arg
    if isinstance(arg, GenericConst):
        shape = _shape(arg)[-1:] if prod(_shape(arg)) > 1 else []
        return constant(arg.value.numpy().reshape(shape), str(arg.ty.dtype))
    source = late.get(arg, arg)
    return source if _shape(source) == _shape(flat) else emit(relax.op.reshape(arg, flat.ty.shape))


def _shape(value: relax.Expr) -> list[int]:
    return [int(size) for size in value.ty.shape]
