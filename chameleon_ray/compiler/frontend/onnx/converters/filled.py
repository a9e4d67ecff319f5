"""ConstantOfShape and EyeLike, whose inputs only say what shape the output has."""

from typing import Any

import numpy as np
from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import learnt
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def constant_of_shape(node: Node) -> relax.Expr:
    """Converts ConstantOfShape, whose shape may be computed at run time."""
    value = node.attributes.get("value", np.zeros(1, "float32"))
    dtype, shape = value.dtype.name, _shape(node)
    return relax.op.full(shape, constant(value.reshape(()), dtype), dtype)


def _shape(node: Node) -> Any:
    wanted, known = node.input(0), node.known(0)
    if known is not None:
        return tuple(int(size) for size in known)
    if isinstance(wanted.ty, relax.ShapeType):
        return wanted
    if node.outputs[0].shape is not None:
        return node.outputs[0].shape
    return learnt(node, wanted)


def eye_like(node: Node) -> relax.Expr:
    """Converts EyeLike, whose type is the input's if no other is given."""
    data = node.input(0)
    rows, columns = extents(data)
    given = node.attributes.get("dtype")
    dtype = str(data.ty.dtype)
    if given is not None:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(given)).name
    return constant(np.eye(rows, columns, node.attributes.get("k", 0)), dtype)


CONVERTERS: dict[Key, Converter] = {
    ("", "ConstantOfShape"): constant_of_shape,
    ("", "EyeLike"): eye_like,
}
