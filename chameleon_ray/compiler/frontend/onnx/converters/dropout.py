"""Dropout in inference: its input, and a mask of all."""

from collections.abc import Sequence

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def dropout(node: Node) -> Sequence[relax.Expr]:
    """Converts Dropout, which must not drop anything."""
    data, training = node.input(0), node.known(2)
    ratio = node.known(1)
    drops = ratio is None or bool(ratio.any())
    undecided = node.optional(2) is not None and training is None
    if drops and (undecided or (training is not None and training.any())):
        raise Untranslatable("it drops at random; export the model in inference mode")
    if len(node.proto.output) == 1:
        return [data]
    shape = list(extents(data))
    dtype = "bool" if node.version >= 10 else str(data.ty.dtype)
    return [data, constant(np.ones(shape), dtype)]


CONVERTERS: dict[Key, Converter] = {("", "Dropout"): dropout}
