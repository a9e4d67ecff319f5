"""Replaces comparisons of booleans, which LLVM refuses.

TVM generates code that compares booleans as if they were floats (0.27), which fails LLVM's
verification. An exclusive or takes the place of each comparison.
"""

from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.relax import operator, rewrite


def without_boolean_equality(mod: IRModule) -> IRModule:
    """Returns the module with exclusive ors in place of comparisons of booleans."""
    return rewrite(mod, _replaced)


def _replaced(binding: relax.Binding) -> relax.Expr:
    value = binding.value
    if operator(value) not in ("relax.equal", "relax.not_equal"):
        return value
    if any(str(argument.ty.dtype) != "bool" for argument in value.args):
        return value
    differ = relax.op.logical_xor(*value.args)
    return differ if operator(value) == "relax.not_equal" else relax.op.logical_not(differ)
