"""CumSum and CumProd along an axis that may be computed at run time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.extents import axis_of, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def _converter(operator: Callable[..., relax.Expr]) -> Converter:
    def convert(node: Node) -> relax.Expr:
        count = rank(node.input(0))
        known = node.known(1)
        if known is not None:
            return _along(node, operator, axis_of(int(known.item()), count))
        if count == 1:
            return _along(node, operator, 0)
        axis = node.emit(relax.op.astype(node.input(1), "int64"))
        axis = node.emit(relax.op.reshape(axis, ()))
        result = _along(node, operator, count - 1)
        for other in range(count - 1):
            chosen = [constant(np.array(name), "int64") for name in (other, other - count)]
            here = relax.op.logical_or(*(relax.op.equal(axis, one) for one in chosen))
            result = node.emit(relax.op.where(here, _along(node, operator, other), result))
        return result

    return convert


def _along(node: Node, operator: Callable[..., relax.Expr], axis: int) -> relax.Expr:
    """Accumulates along a known axis."""
    data: Any = node.input(0)
    backwards = bool(node.attributes.get("reverse", 0))
    data = node.emit(relax.op.flip(data, axis)) if backwards else data
    exclusive = bool(node.attributes.get("exclusive", 0))
    result = node.emit(operator(data, axis, str(data.ty.dtype), exclusive))
    return node.emit(relax.op.flip(result, axis)) if backwards else result


CONVERTERS: dict[Key, Converter] = {
    ("", "CumSum"): _converter(relax.op.cumsum),
    ("", "CumProd"): _converter(relax.op.cumprod),
}
