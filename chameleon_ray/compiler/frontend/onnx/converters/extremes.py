"""Min and Max of any number of tensors, element by element; what is no number stays none."""

from collections.abc import Callable
from functools import partial, reduce

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node

Choice = Callable[[relax.Expr, relax.Expr], relax.Expr]


def extreme(choose: Choice, node: Node) -> relax.Expr:
    """Converts the operator, given Relax's choice between two."""
    values = [node.input(place) for place in range(len(node.inputs))]
    return reduce(partial(_of_two, node, choose), values)


def _of_two(node: Node, choose: Choice, left: relax.Expr, right: relax.Expr) -> relax.Expr:
    """Chooses between two values; TVM's choice is the second where either is no number."""
    if "float" not in str(left.ty.dtype) or _is_numbers(left):
        return node.emit(choose(left, right))
    if _is_numbers(right):
        return node.emit(choose(right, left))
    chosen = node.emit(choose(left, right))
    return node.emit(relax.op.where(node.emit(relax.op.isnan(left)), left, chosen))


def _is_numbers(value: relax.Expr) -> bool:
    """Whether a value is a constant of numbers only."""
    return isinstance(value, GenericConst) and not np.isnan(value.value.numpy()).any()


CONVERTERS: dict[Key, Converter] = {
    ("", "Min"): partial(extreme, relax.op.minimum),
    ("", "Max"): partial(extreme, relax.op.maximum),
}
