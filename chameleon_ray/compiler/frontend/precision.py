"""Finds out the precision that an imported model computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chameleon_ray.measure.precision import FLOATS, Precision

if TYPE_CHECKING:
    from tvm.ir import IRModule

SMALL = ("int8", "uint8", "int4", "uint4", "int2", "uint2")
"""Types that floats are quantised to."""
SAME_VALUES = {
    f"relax.{name}"
    for name in ("reshape", "permute_dims", "squeeze", "expand_dims", "flatten", "nn.relu")
}
"""Operators whose outputs are values of their first argument."""


def precision_of(module: IRModule) -> Precision:
    """Returns the precision of a Relax module's ``main``.

    The types of all its values count, those of weights and inputs included.
    """
    from tvm import relax

    from chameleon_ray.compiler.relax import operator

    seen: set[str] = set()
    quantizers: set[Any] = set()

    def look(expr: Any) -> None:
        kind, name = _dtype(expr), operator(expr)
        seen.add(kind)
        rounds = name == "relax.astype" and kind in SMALL and _dtype(expr.args[0]) in FLOATS
        if rounds or name == "relax.quantize":
            quantizers.add(expr)

    relax.analysis.post_order_visit(module["main"], look)
    coarsest = max(seen & set(FLOATS), key=FLOATS.index, default="float32")
    return Precision(coarsest, len(quantizers), _steps(module) if quantizers else ())


def _dtype(expr: Any) -> str:
    return str(getattr(getattr(expr, "ty", None), "dtype", ""))


def _steps(module: IRModule) -> tuple[float, ...]:
    """Returns the step of each output that was dequantised last, and 0 for other outputs."""
    from tvm import relax

    from chameleon_ray.compiler.relax import bindings_of

    values = {binding.var: binding.value for binding in bindings_of(module)}
    result = module["main"].body.body
    result = values.get(result, result)
    outputs = result.fields if isinstance(result, relax.Tuple) else [module["main"].body.body]
    return tuple(_step(output, values) for output in outputs)


def _step(value: Any, values: dict[Any, Any]) -> float:
    from tvm.ir import GenericConst

    from chameleon_ray.compiler.relax import operator

    while value in values or operator(value) in SAME_VALUES:
        value = values[value] if value in values else value.args[0]
    if operator(value) == "relax.dequantize" and isinstance(value.args[1], GenericConst):
        return float(value.args[1].value.numpy().max())
    return 0.0
